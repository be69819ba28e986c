/** Bytes as text, in Node and in browsers. */

/** Bytes at a time: arguments of a call are bounded. */
const pieceSize = 32_768;

/** Bytes in base64. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += pieceSize) {
    text += String.fromCharCode(...bytes.subarray(at, at + pieceSize));
  }
  return btoa(text);
}

/** The bytes of base64. Throws `DOMException` for other text. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
