import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { type TestContext } from "node:test";
import {
  folderPage,
  folderView,
  type Hosts,
  imitateHosts,
  quotaPage,
  sendContent,
  sendPage,
} from "../../../test/hosts.js";
import { tempDir } from "../../../test/temp-dir.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { type Shape, sizeOf } from "../../tensor.js";
import { encodeSafetensors } from "../safetensors.js";
import { type PullOptions, pullWeights } from "./cache.js";
import { sourceNamed } from "./source.js";

/** A weight file of some 600 KB; `value` distinguishes versions. */
function weightFile(value = 0.5, shapes: readonly Shape[] = [[150_000]]): Buffer {
  const tensors = shapes.map((shape, i) => {
    const data = Float32Array.from({ length: sizeOf(shape) }, (_, k) => value + k);
    return [`tensor${i}`, { dtype: "f32", shape, data }] as const;
  });
  return Buffer.concat([...encodeSafetensors(new Map(tensors))]);
}

const content = weightFile();
const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const sha256 = hashOf(content);

/** A file of Drive, and its model. */
const driveModel = "avsegformer-s4";
const driveId = "1ZJ55jxoHP1ur-hLBkGcha8sjptE_shfw";
const page = `https://drive.google.com/file/d/${driveId}/view`;
const folderId = "1COs4afrbB0PC50jo3j1lA_Ue_XNtyQMU";

/** Hosts, and a function that pulls from them. */
async function setUp(t: TestContext) {
  const hosts = await imitateHosts(t);
  const dir = await tempDir(t);
  const pull = (name: string, options: PullOptions = {}) =>
    pullWeights(name, { cacheDir: dir, retryDelayMs: 1, ...options, env: { ...hosts.env, ...options.env } });
  const part = path.join(dir, "weights", `${driveModel}.pth.part`);
  return { ...hosts, hosts, dir, pull, part };
}

/** Sends the beginning of the content, and then closes the connection. */
function dropAfter(bytes: number): Hosts["instead"][number] {
  return (request, response) => {
    const write = response.write.bind(response);
    response.end = ((body: Buffer) => {
      write(body.subarray(0, bytes), () => setTimeout(() => response.socket?.destroy(), 30));
      return response;
    }) as typeof response.end;
    sendContent(request, response, content);
  };
}

/** Asserts a refusal whose message and hint match. */
async function refuses(work: Promise<unknown>, message: RegExp, hint: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof CheckpointError, String(error));
    assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
    return true;
  });
}

for (const kind of ["form", "link"] as const) {
  test(`Drive: a large file is confirmed by ${kind}, continued after a break, and pinned at first use`, async (t) => {
    const { hosts, pull } = await setUp(t);
    hosts.content.set(driveId, content);
    hosts.warned.set(driveId, kind);
    if (kind === "form") hosts.instead.push(dropAfter(200_000));
    const first = await pull(driveModel);
    assert.deepEqual([first.sha256, first.checkedAgainst, first.fromCache], [sha256, "nothing", false]);
    assert.deepEqual(await readFile(first.path), content);
    assert.match(first.source ?? "", /\/uc\?id=1ZJ55/);
    if (kind === "form") {
      const ranges = hosts.requests.filter(({ server }) => server === "files").map((r) => r.headers.range);
      assert.equal(ranges.length, 2);
      assert.match(ranges[1] ?? "", /^bytes=\d{5,}-$/);
    }
    assert.equal((await pull(driveModel)).checkedAgainst, "record");
    // The publisher replaces the file: refused until its hash is given.
    const replaced = weightFile(0.25);
    hosts.content.set(driveId, replaced);
    const from = `https://drive.google.com/open?id=${driveId}`;
    await refuses(
      pull(driveModel, { from }),
      /expected a SHA-256 beginning with/,
      new RegExp(hashOf(replaced)),
    );
    assert.deepEqual(await readFile(first.path), content);
    const accepted = await pull(driveModel, { from, sha256: hashOf(replaced) });
    assert.deepEqual([accepted.sha256, accepted.checkedAgainst], [hashOf(replaced), "given"]);
    assert.equal((await pull(driveModel)).checkedAgainst, "record");
  });
}

test("Drive: the quota page is recognized, a browser is the way out, and what arrived is kept", async (t) => {
  const { hosts, pull, part } = await setUp(t);
  hosts.content.set(driveId, content);
  for (const status of [200, 403, 429]) {
    hosts.siteInstead.push((_, response) => sendPage(response, quotaPage, status));
    await refuses(pull(driveModel), /Google Drive allows no more downloads of this file/, new RegExp(page));
  }
  // In the middle of a download: the first part is continued the next day.
  hosts.instead.push(dropAfter(300_000));
  hosts.siteInstead.push(
    (_, response) => response.writeHead(303, { location: `${hosts.files}/d?id=${driveId}` }).end(),
    (_, response) => sendPage(response, quotaPage),
  );
  await refuses(pull(driveModel), /no more downloads/, /24 hours/);
  const { size } = await stat(part);
  assert.ok(size > 100_000);
  assert.equal((await pull(driveModel)).sha256, sha256);
  assert.equal(hosts.requests.at(-1)?.headers.range, `bytes=${size - 65_536}-`);
});

test("Drive: files that are not public, and pages that are no file, say where to look", async (t) => {
  const { hosts, pull, part } = await setUp(t);
  const signIn = "<html><head><title>Google Drive: Sign-in</title></head><body>You need access</body></html>";
  hosts.siteInstead.push((_, response) => sendPage(response, signIn));
  await refuses(pull(driveModel), /asks to sign in/, new RegExp(page));
  hosts.siteInstead.push((_, response) =>
    sendPage(response, "<html><title>Infected &amp; held</title></html>"),
  );
  await refuses(
    pull(driveModel),
    /sent a web page \("Infected & held"\) instead of the file/,
    new RegExp(page),
  );
  // A page that is called a file.
  hosts.siteInstead.push((_, response) =>
    response
      .writeHead(200, { "content-type": "application/octet-stream" })
      .end("<!DOCTYPE html><title>x</title>"),
  );
  await refuses(pull(driveModel), /sent a web page \("x"\)/, /browser/);
  await refuses(pull(driveModel), /the server answered 404/, new RegExp(page));
  // A page that would keep the parser busy for hours.
  hosts.siteInstead.push((_, response) =>
    sendPage(response, `<title>deep</title>${"<div>".repeat(1_000_000)}`),
  );
  await refuses(pull(driveModel), /sent a web page \("deep"\)/, /browser/);
  // Pages that ask for confirmations without end.
  hosts.content.set(driveId, content);
  const asking = `<form id="download-form" action="/uc"><input name="id" value="${driveId}"><input name="confirm" value="t"></form>`;
  for (let i = 0; i < 9; i++) hosts.siteInstead.push((_, response) => sendPage(response, asking));
  await refuses(pull(driveModel), /sent a web page/, /browser/);
  hosts.siteInstead.length = 0;
  await assert.rejects(stat(part), { code: "ENOENT" });
});

test("Drive: the file of a folder is found by name, in either form of the listing", async (t) => {
  const { hosts, pull } = await setUp(t);
  const named = {
    s4: "S4_pvt_best.pth",
    s4r: "S4_res50_best.pth",
    ms3: "MS3&#39;s pvt_v2.pth",
    avss: "avss.pth",
    readme: "README.txt",
  };
  const entries = Object.entries(named).map(([id, name]) => ({ id, name }));
  hosts.folders.set(folderId, { view: folderView(entries) });
  for (const [id, value] of Object.entries({ s4: 1, s4r: 2, ms3: 3, avss: 4 })) {
    hosts.content.set(id, weightFile(value));
  }
  for (const [name, value] of Object.entries({
    "seavs-s4": 1,
    "seavs-s4-res50": 2,
    "seavs-ms3": 3,
    "seavs-avss": 4,
  })) {
    const pulled = await pull(name);
    assert.equal(pulled.sha256, hashOf(weightFile(value)), name);
    assert.match(
      pulled.source ?? "",
      /^https:\/\/drive\.google\.com\/drive\/folders\/1COs4\S+ \(\S.*\.pth\)$/,
    );
  }
  assert.match(
    (await pull("seavs-ms3", { from: `${hosts.site}/drive/folders/${folderId}` })).source ?? "",
    /MS3's/,
  );
  // The folder's own page where the other lists nothing; the encoder is said by the folder above.
  hosts.folders.set(folderId, {
    view: "<html></html>",
    page: folderPage([
      { id: "deep", name: "ETAVS_res50_ms3", folder: true },
      { id: "s4", name: "S4.pth" },
    ]),
  });
  hosts.folders.set("deep", { view: folderView([{ id: "ms3", name: "best_epoch60_lr_6e-05.pth" }]) });
  assert.match(
    (await pull("seavs-ms3-res50")).source ?? "",
    /\(ETAVS_res50_ms3\/best_epoch60_lr_6e-05\.pth\)$/,
  );
});

test("Drive: a folder that does not tell lists its files; a file of another model is passed over", async (t) => {
  const { hosts, pull } = await setUp(t);
  await refuses(pull("seavs-s4"), /drive\/folders\/1COs4\S+: the server answered 404|answered 404/, /--from/);
  const closed = "<html><head><title>Sign in</title></head><body>Request access</body></html>";
  hosts.folders.set(folderId, { view: "<html></html>", page: closed });
  await refuses(pull("seavs-s4"), /the folder is not public/, /browser/);
  hosts.folders.set(folderId, { view: folderView([{ id: "a", name: "notes.txt" }]) });
  await refuses(
    pull("seavs-s4"),
    /cannot tell which file is seavs-s4: found notes\.txt \(\S+\/a\/view\)/,
    /--from/,
  );
  const two = [
    { id: "a", name: "S4_pvt_1.pth" },
    { id: "b", name: "S4_pvt_2.pth" },
  ];
  hosts.folders.set(folderId, { view: folderView(two) });
  await refuses(pull("seavs-s4"), /as several are named so: found S4_pvt_1\.pth .*S4_pvt_2\.pth/, /--from/);
  // The encoder is in no name: the content decides.
  hosts.folders.set(folderId, { view: folderView(two.map(({ id }) => ({ id, name: `S4-${id}.pth` }))) });
  hosts.content.set("a", weightFile(1, [[7]]));
  hosts.content.set("b", weightFile(1, [[8]]));
  const verify: PullOptions["verify"] = ({ tensors }, file) => {
    if (tensors.get("tensor0")?.shape[0] === 8) return;
    throw new CheckpointError(`${file}: another model`);
  };
  assert.match((await pull("seavs-s4", { verify })).source ?? "", /S4-b\.pth/);
  // A folder within itself ends.
  hosts.folders.set(folderId, { view: folderView([{ id: folderId, name: "again", folder: true }]) });
  await refuses(pull("seavs-ms3"), /found no files/, /--from/);
});

test("Hugging Face: the token reaches its host alone; terms that are not accepted say so", async (t) => {
  const { hosts, pull } = await setUp(t);
  const positions = weightFile(1, [[1, 785, 384]]);
  hosts.content.set("mhamilton723/DenseAV-sound/model.safetensors", positions);
  const pulled = await pull("denseav-sound", { env: { HF_TOKEN: "hf_secret" } });
  assert.equal(pulled.sha256, hashOf(positions));
  assert.deepEqual(
    hosts.requests.map(({ server, headers }) => [server, headers.authorization]),
    [
      ["site", "Bearer hf_secret"],
      ["files", undefined],
    ],
  );
  hosts.requests.length = 0;
  hosts.siteInstead.push((_, response) => response.writeHead(401).end());
  const from = `${hosts.site}/mhamilton723/DenseAV-sound/blob/main/model.safetensors`;
  await assert.rejects(pull("denseav-sound", { from }), /the server answered 401/);
  assert.equal(hosts.requests[0]?.url, "/mhamilton723/DenseAV-sound/resolve/main/model.safetensors");
  assert.equal(hosts.requests[0]?.headers.authorization, undefined);
  const dir = await tempDir(t);
  hosts.siteInstead.push((_, response) => response.writeHead(403).end());
  await refuses(pull("denseav-sound", { cacheDir: dir }), /the server answered 403/, /HF_TOKEN/);
  await assert.rejects(pull("denseav-sound", { cacheDir: dir, env: { HF_TOKEN: "a b" } }), ConfigError);
  // Another host never receives it, whatever it is called.
  hosts.requests.length = 0;
  await pull("denseav-sound", {
    from: `${hosts.files}/mhamilton723/DenseAV-sound/model.safetensors`,
    env: { HF_TOKEN: "hf_secret" },
  });
  assert.deepEqual(
    hosts.requests.map(({ headers }) => headers.authorization),
    [undefined],
  );
});

test("GitHub: a release is fetched from the host that it redirects to", async (t) => {
  const { hosts, pull } = await setUp(t);
  const other = weightFile(1, [
    [640, 1, 3, 3],
    [640, 1, 3, 3],
  ]);
  hosts.content.set("whai362/PVT/v2/pvt_v2_b0.pth", other);
  assert.equal((await pull("pvt_v2_b0")).sha256, hashOf(other));
  assert.deepEqual(
    hosts.requests.map(({ server }) => server),
    ["site", "files"],
  );
});

test("an overloaded server is waited for as it asks, and not for hours", async (t) => {
  const { hosts, pull } = await setUp(t);
  hosts.content.set(driveId, content);
  const busy = (wait: string): Hosts["instead"][number] => {
    return (_, response) => response.writeHead(429, { "retry-after": wait }).end("busy");
  };
  hosts.instead.push(busy("0"), busy(new Date(Date.now() - 1000).toUTCString()), busy("soon"));
  assert.equal((await pull(driveModel)).sha256, sha256);
  assert.equal(hosts.requests.filter(({ server }) => server === "files").length, 4);
  hosts.instead.push(busy("3600"));
  const dir = await tempDir(t);
  await refuses(pull(driveModel, { cacheDir: dir }), /the server answered 429/, /asks to wait 60 minutes/);
});

test("wrong ranges, lengths and versions never make a wrong file", async (t) => {
  const { hosts, pull, part } = await setUp(t);
  hosts.content.set(driveId, content);
  const total = content.length;
  const answers: Record<string, Hosts["instead"][number]> = {
    "another beginning": (_, response) => {
      response.writeHead(206, { "content-range": `bytes 5-${total - 1}/${total}` }).end(content.subarray(5));
    },
    "no range at all": (_, response) => void response.writeHead(206).end(content.subarray(9)),
    "several ranges": (_, response) => {
      response.writeHead(206, { "content-type": "multipart/byteranges; boundary=x" }).end("--x\r\n");
    },
    "another length": (request, response) => {
      const start = Number(/\d+/.exec(request.headers.range ?? "")?.[0]);
      response
        .writeHead(206, { "content-range": `bytes ${start}-${total - 2}/${total - 1}` })
        .end(content.subarray(start, total - 1));
    },
    "more than it announced": (request, response) => {
      const start = Number(/\d+/.exec(request.headers.range ?? "")?.[0]);
      response
        .writeHead(206, { "content-range": `bytes ${start}-${total - 1}/${total}` })
        .end(Buffer.concat([content.subarray(start), Buffer.alloc(10)]));
    },
    "less than it announced": (request, response) => {
      const start = Number(/\d+/.exec(request.headers.range ?? "")?.[0]);
      response
        .writeHead(206, { "content-range": `bytes ${start}-${total - 1}/${total}` })
        .end(content.subarray(start, start + 1000));
    },
    "another version": (_, response) => {
      response
        .writeHead(206, { etag: '"other"', "content-range": `bytes 200000-${total - 1}/${total}` })
        .end(content.subarray(200_000));
    },
    "nothing left": (_, response) => void response.writeHead(416).end(),
    "bytes of another place": (request, response) => {
      const start = Number(/\d+/.exec(request.headers.range ?? "")?.[0]);
      response
        .writeHead(206, { "content-range": `bytes ${start}-${total - 1}/${total}` })
        .end(content.subarray(0, total - start));
    },
    "the rest as if it were all": (request, response) => {
      const start = Number(/\d+/.exec(request.headers.range ?? "")?.[0]);
      const etag = String(request.headers["if-range"]);
      response.writeHead(200, { etag, "content-length": total - start }).end(content.subarray(start));
    },
  };
  for (const [what, answer] of Object.entries(answers)) {
    const dir = await tempDir(t);
    hosts.instead.push(dropAfter(200_000), answer);
    const pulled = await pull(driveModel, { cacheDir: dir });
    assert.equal(pulled.sha256, sha256, what);
    assert.deepEqual((await readdir(path.dirname(pulled.path))).sort(), [
      `${driveModel}.pth`,
      `${driveModel}.pth.sha256`,
    ]);
  }
  // A whole answer of another file is refused by its content, and not kept.
  hosts.instead.push((_, response) => void response.writeHead(200, { "content-length": 4 }).end("abcd"));
  await refuses(pull(driveModel), /expected safetensors or a PyTorch checkpoint/, /./);
  hosts.instead.push((_, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end("x"));
  await refuses(pull(driveModel), /sent it compressed \(gzip\)/, /--from FILE/);
  hosts.instead.push(
    (_, response) => void response.writeHead(200, { "content-length": String(9 * 2 ** 30) }).write("x"),
  );
  await refuses(
    pull(driveModel),
    /9663676416 bytes, expected a weight file of 2976000000 at most/,
    /address/,
  );
  await assert.rejects(stat(part), { code: "ENOENT" });
});

test("a server that stalls is left, and the download continued", async (t) => {
  const { hosts, pull } = await setUp(t);
  hosts.content.set(driveId, content);
  hosts.instead.push(
    (request, response) => {
      response.end = ((body: Buffer) => {
        response.write(body.subarray(0, 300_000)); // and nothing more
        return response;
      }) as typeof response.end;
      sendContent(request, response, content);
    },
    () => undefined, // no answer at all
  );
  const pulled = await pull(driveModel, { stallMs: 200 });
  assert.equal(pulled.sha256, sha256);
  assert.match(hosts.requests.at(-1)?.headers.range ?? "", /^bytes=\d+-$/);
});

test("a slow server is waited for", async (t) => {
  const { hosts, pull } = await setUp(t);
  hosts.content.set(driveId, content);
  hosts.instead.push((_, response) => {
    response.writeHead(200, { "content-length": content.length });
    let sent = 0;
    const timer = setInterval(() => {
      response.write(content.subarray(sent, sent + 100_000));
      sent += 100_000;
      if (sent < content.length) return;
      clearInterval(timer);
      response.end();
    }, 40);
  });
  const seen: (number | undefined)[] = [];
  const pulled = await pull(driveModel, { stallMs: 5000, onProgress: ({ total }) => seen.push(total) });
  assert.equal(pulled.sha256, sha256);
  assert.ok(seen.length >= 5 && seen.every((total) => total === content.length), `${seen}`);
});

test("weights that nobody publishes are named so, and can be given", async (t) => {
  const { pull, dir } = await setUp(t);
  await refuses(
    pull("tpavi-s4"),
    /tpavi-s4 cannot be downloaded: its authors did not keep/,
    /--from FILE\|URL/,
  );
  const file = path.join(dir, "mine.pth");
  await writeFile(file, content);
  await assert.rejects(pull("tpavi-s4", { from: file, sha256: "12" }), ConfigError);
  const other = "0".repeat(64);
  await refuses(
    pull("tpavi-s4", { from: file, sha256: other }),
    /expected a SHA-256 beginning with 00000000/,
    /./,
  );
  const given = await pull("tpavi-s4", { from: file, sha256: sha256.toUpperCase() });
  assert.deepEqual([given.checkedAgainst, given.source], ["given", file]);
});

test("links of people become addresses; passwords stay out of messages and records", async (t) => {
  const env = {};
  const drive = (id: string) => `https://drive.google.com/uc?id=${id}&export=download`;
  for (const link of [
    "https://drive.google.com/file/d/abc_-1/view?usp=sharing",
    "https://drive.google.com/open?id=abc_-1",
    "https://drive.google.com/uc?export=download&id=abc_-1",
    "https://drive.google.com/file/u/0/d/abc_-1/edit",
    "https://drive.usercontent.google.com/download?id=abc_-1&export=download&confirm=t",
  ]) {
    const source = sourceNamed(link, env);
    assert.equal(source.kind === "address" && source.url, drive("abc_-1"), link);
  }
  for (const link of [
    "https://drive.google.com/drive/folders/f-1?usp=sharing",
    "https://drive.google.com/drive/u/1/folders/f-1",
    "https://drive.google.com/embeddedfolderview?id=f-1#list",
  ]) {
    assert.deepEqual(sourceNamed(link, env), {
      kind: "drive-folder",
      id: "f-1",
      page: "https://drive.google.com/drive/folders/f-1",
    });
  }
  assert.deepEqual(sourceNamed("weights.pth", env), { kind: "file", path: "weights.pth" });
  assert.throws(() => sourceNamed("https://x.example/", { HF_ENDPOINT: "ftp://x" }), ConfigError);

  const { hosts, pull, part } = await setUp(t);
  const from = `${hosts.files.replace("http://", "http://ann:s3cret@")}/file.pth`;
  hosts.content.set("file.pth", content);
  hosts.instead.push(
    dropAfter(200_000),
    ...Array.from(
      { length: 4 },
      (): Hosts["instead"][number] => (_, response) => response.writeHead(503).end(),
    ),
  );
  await assert.rejects(pull(driveModel, { from }), (error) => {
    assert.ok(error instanceof CheckpointError && !error.message.includes("s3cret"), String(error));
    return true;
  });
  assert.ok(!(await readFile(`${part}.json`, "utf8")).includes("s3cret"));
  assert.equal((await pull(driveModel, { from })).source, `${hosts.files}/file.pth`);
  const basic = `Basic ${Buffer.from("ann:s3cret").toString("base64")}`;
  assert.ok(hosts.requests.every(({ headers }) => headers.authorization === basic));
  await assert.rejects(
    pull("vggish", { from: "http://host.invalid/x", env: { HTTP_PROXY: "http://ann:s3cret@[" } }),
    (error) => !String(error).includes("s3cret"),
  );
});
