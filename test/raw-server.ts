/** A server that answers byte by byte as a test likes, in ways that no HTTP library would. */
import net, { type AddressInfo, type Socket } from "node:net";

/** Answers one request on a connection. */
export type RawAnswer = (socket: Socket, request: string) => void;

/** Sends text or bytes and ends the connection. */
export const send =
  (...parts: readonly (string | Uint8Array)[]): RawAnswer =>
  (socket) =>
    socket.end(Buffer.concat(parts.map((part) => Buffer.from(part))));

/** The status line and the headers of an answer after which the connection closes. */
export const head = (status: string, ...headers: readonly string[]): string =>
  `HTTP/1.1 ${[status, ...headers, "Connection: close"].join("\r\n")}\r\n\r\n`;

/** Starts a server that gives the answers in turns, the last one again and again. */
export async function serveRaw(
  t: { after(work: () => void): void },
  answers: readonly RawAnswer[],
): Promise<{ readonly url: string; readonly requests: string[] }> {
  const requests: string[] = [];
  const open = new Set<Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.on("error", () => undefined);
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (!text.includes("\r\n\r\n")) return;
      const answer = answers[Math.min(requests.length, answers.length - 1)];
      requests.push(text);
      answer?.(socket, text);
      text = "";
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}
