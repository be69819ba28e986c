/** Tiny packages for tests: drawn cut-outs, striped backgrounds and generated tones, with a catalog of their own. */
import sharp from "sharp";
import type { Catalog, ClassInfo, Origin, Side, Source } from "../src/datasets/photo-sounds/catalog.js";
import type { PackageFiles } from "../src/datasets/photo-sounds/sources/packages.js";
import type { InputFile } from "../src/media/node/input-file.js";
import { encodeWav } from "../src/media/wav.js";

/** Classes of the tests: each has a color and a pitch. */
const looks: Readonly<Record<string, { readonly color: string; readonly hz: number }>> = {
  bell: { color: "#e0c020", hz: 900 },
  drum: { color: "#c03020", hz: 120 },
  bird: { color: "#2040d0", hz: 2400 },
  siren: { color: "#20c060", hz: 500 },
};

const origin = (side: Side, file: string): Origin => {
  return { side, package: "tuxpaint", file, license: "CC0-1.0", credit: "drawn by a test" };
};
const sources = (side: Side, names: readonly string[], ending: string): Source[] =>
  names.map((name) => ({ ...origin(side, `${side}/${name}.${ending}`), class: name }));

const shared = ["bell", "drum", "bird"];

/** A catalog of three classes on both sides, one unseen class and a background for each side. */
export const testCatalog: Catalog = {
  classes: new Map(
    Object.keys(looks).map((name): [string, ClassInfo] => [
      name,
      { class: name, group: name, moves: "walks" },
    ]),
  ),
  pictures: [
    ...sources("train", shared, "png"),
    ...sources("test", shared, "png"),
    ...sources("unseen", ["siren"], "png"),
  ],
  recordings: [
    ...sources("train", shared, "wav"),
    ...sources("test", shared, "wav"),
    ...sources("unseen", ["siren"], "wav"),
  ],
  ambiences: [
    { ...origin("train", "train/wind.wav"), class: "ambience" },
    { ...origin("test", "test/wind.wav"), class: "ambience" },
  ],
  backgrounds: [origin("train", "train/ground.jpg"), origin("test", "test/ground.jpg")],
};

/** The files that `testCatalog` names, made in memory; files of the test side differ from those of the training side. */
export const testFiles: PackageFiles = {
  async read(_, file): Promise<InputFile> {
    const [side = "", rest = ""] = file.split("/");
    const [name = "", ending] = rest.split(".");
    const look = looks[name] ?? { color: "#808080", hz: 60 };
    const other = side === "test";
    if (ending === "wav") return { name: file, bytes: tone(look.hz * (other ? 1.2 : 1)) };
    const shape =
      ending === "jpg"
        ? `<rect width="90" height="70" fill="${other ? "#606a70" : "#a09080"}"/><rect y="40" width="90" height="9" fill="#405040"/>`
        : `<ellipse cx="40" cy="35" rx="${other ? 36 : 30}" ry="25" fill="${look.color}"/>`;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="90" height="70">${shape}</svg>`;
    const image = sharp(Buffer.from(svg));
    return { name: file, bytes: await (ending === "jpg" ? image.flatten().jpeg() : image.png()).toBuffer() };
  },
};

/** 0.6 s of a decaying tone between stretches of silence. */
function tone(hz: number): Uint8Array {
  const sampleRateHz = 16_000;
  const samples = Float32Array.from({ length: sampleRateHz }, (_, i) => {
    const seconds = i / sampleRateHz - 0.2;
    return seconds < 0 || seconds > 0.6
      ? 0
      : 0.5 * Math.exp(-3 * seconds) * Math.sin(2 * Math.PI * hz * seconds);
  });
  return encodeWav({ sampleRateHz, channels: [samples] });
}
