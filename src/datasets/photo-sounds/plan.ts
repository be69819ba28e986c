/** Which objects a PhotoSounds clip shows, which of them sound when, and with which recordings. */
import { hashText, Random } from "../../random.js";
import type { Split, Task } from "../clip.js";
import {
  type ClipForm,
  changingSchedule,
  clipForm,
  constantSchedule,
  type Schedule,
} from "../generated/schedule.js";
import { type Catalog, type Origin, type Side, type Source, soundingClasses } from "./catalog.js";

/** Identifies one clip; equal specs over equal catalogs give equal clips. */
export interface PhotoClipSpec {
  readonly task: Task;
  readonly split: Split;
  /** Which sources the clip is made of. */
  readonly side: Side;
  /** Number of the clip within its split. */
  readonly index: number;
  readonly seed: number;
  /** Height and width of the frames in pixels. */
  readonly imageSize: number;
  /** One photograph as it is, in place of a composed scene. Default: false. */
  readonly photograph?: boolean | undefined;
}

/** An object of a clip. */
export interface PlannedObject {
  readonly picture: Source;
  /** The recording that it sounds with; absent for an object that is silent throughout. */
  readonly recording?: Source | undefined;
}

/** A clip before it is rendered. */
export interface PhotoClipPlan extends Pick<ClipForm, "subset" | "stepCount"> {
  /** `undefined` for a photograph as it is. */
  readonly background: Origin | undefined;
  readonly objects: readonly PlannedObject[];
  /** Whether object `i` sounds during step `t`: `sounding[t][i]`. */
  readonly sounding: Schedule;
  readonly ambience: Source | undefined;
  /** Index of an object that fills the frame; `undefined` in most clips. */
  readonly near: number | undefined;
  /** Key of the random draws of the scene and the sounds. */
  readonly key: number;
}

/** Classes of these groups sound too much alike to tell apart which of two is meant. */
const confusable: ReadonlySet<string> = new Set(["road", "percussion"]);
/** How often a silent object is of the group of what sounds, of another class that can sound, or a thing. */
const similarChance = 0.3;
const thingChance = 0.25;

/** How often an object of a training clip fills the frame, is the one that sounds, and then alone. */
const nearChance = 0.2;
const nearVoiceChance = 0.6;
const nearAloneChance = 0.4;

/** Draws what a clip is made of. The classes take turns, so that every class is as frequent as the others. */
export function planPhotoClip(spec: PhotoClipSpec, catalog: Catalog): PhotoClipPlan {
  const splitKey = hashText(`photos/${spec.task}/${spec.split}/${spec.side}`);
  const key = new Random(spec.seed, splitKey, spec.index).u32();
  const random = new Random(key, 1);
  const { subset, stepCount, single } = clipForm(spec.task, spec.index);
  const choice = choicesOf(catalog, spec.side);
  const voices = drawVoices(random, { choice, catalog, first: turn(spec, splitKey, choice.voices), single });
  const silent = drawSilent(random, { choice, catalog, voices, single });
  const planned = [
    ...voices.map((name) => ({
      picture: random.pick(choice.pictures.get(name) ?? []),
      recording: random.pick(choice.recordings.get(name) ?? []),
    })),
    ...silent.map((name) => ({ picture: random.pick(choice.pictures.get(name) ?? []) })),
  ];
  const { near, count } = drawNear(spec.side, new Random(key, 3), planned.length);
  const objects = planned.slice(0, Math.max(voices.length, count));
  const sounding = single
    ? constantSchedule(0, objects.length, stepCount)
    : changingSchedule(random, objects.length, stepCount, voices.length);
  return {
    stepCount,
    background: random.pick(choice.backgrounds),
    objects,
    sounding,
    ambience: random.uniform() < 0.6 ? random.pick(choice.ambiences) : undefined,
    near,
    subset,
    key,
  };
}

/**
 * A clip of a photograph as it is, with a recording of what it shows: `photographs` take turns, and so do the recordings of
 * each one's class. Throws `RangeError` where the side has no photograph of a class that it has a recording of.
 */
export function planPhotograph(
  spec: PhotoClipSpec,
  { recordings, photographs }: Pick<Catalog, "recordings"> & { readonly photographs: readonly Source[] },
): PhotoClipPlan {
  const ofSide = ({ side }: Source): boolean => side === spec.side;
  const heard = byClass(recordings.filter(ofSide));
  const shown = photographs.filter((picture) => ofSide(picture) && heard.has(picture.class));
  const picture = shown[spec.index % shown.length];
  if (picture === undefined)
    throw new RangeError(`photo-sounds: no photograph of the side ${spec.side} sounds`);
  const sounds = heard.get(picture.class) ?? [];
  const recording = sounds[Math.floor(spec.index / shown.length) % sounds.length];
  const { subset, stepCount } = clipForm(spec.task, spec.index);
  return {
    stepCount,
    background: undefined,
    objects: [{ picture, recording }],
    sounding: constantSchedule(0, 1, stepCount),
    ambience: undefined,
    near: undefined,
    subset,
    key: new Random(spec.seed, hashText(`photos/${spec.task}/photographs/${spec.side}`), spec.index).u32(),
  };
}

/**
 * Draws which of `count` objects fills the frame, and how many stay. Only training has such clips: nothing else shows it
 * what cameras show most, and `test` clips stay comparable.
 */
function drawNear(
  side: Side,
  random: Random,
  count: number,
): { readonly near: number | undefined; readonly count: number } {
  if (side !== "train" || random.uniform() >= nearChance) return { near: undefined, count };
  if (random.uniform() >= nearVoiceChance) return { near: random.integer(count), count };
  return { near: 0, count: random.uniform() < nearAloneChance ? 1 : count };
}

/** The sources of a side by class. */
interface Choices {
  /** Classes that can sound, sorted. */
  readonly voices: readonly string[];
  /** Classes that can be seen, sorted. */
  readonly seen: readonly string[];
  readonly pictures: ReadonlyMap<string, readonly Source[]>;
  readonly recordings: ReadonlyMap<string, readonly Source[]>;
  readonly backgrounds: readonly Origin[];
  readonly ambiences: readonly Source[];
}

/** Clips of unseen classes have the silent objects, backgrounds and ambience of the test side. */
function choicesOf(catalog: Catalog, side: Side): Choices {
  const shared = (of: Side): boolean => of === (side === "unseen" ? "test" : side);
  const pictures = catalog.pictures.filter((picture) => picture.side === side || shared(picture.side));
  return {
    voices: soundingClasses(catalog, side),
    seen: [...new Set(pictures.map((picture) => picture.class))].sort(),
    pictures: byClass(pictures),
    recordings: byClass(catalog.recordings.filter((sound) => sound.side === side)),
    backgrounds: catalog.backgrounds.filter((background) => shared(background.side)),
    ambiences: catalog.ambiences.filter((sound) => shared(sound.side)),
  };
}

function byClass(sources: readonly Source[]): ReadonlyMap<string, readonly Source[]> {
  const groups = new Map<string, Source[]>();
  for (const source of sources) groups.set(source.class, [...(groups.get(source.class) ?? []), source]);
  return groups;
}

/** The class whose turn it is: every class once in each round, in an order that differs from round to round. */
function turn(spec: PhotoClipSpec, splitKey: number, classes: readonly string[]): string {
  const round = Math.floor(spec.index / classes.length);
  const order = new Random(spec.seed, splitKey, 0x70c1a55, round).shuffled(classes);
  return order[spec.index % classes.length] as string;
}

interface Draw {
  readonly choice: Choices;
  readonly catalog: Catalog;
}

/** The classes that sound in the clip: one, or one to three different ones. */
function drawVoices(
  random: Random,
  { choice, catalog, first, single }: Draw & { readonly first: string; readonly single: boolean },
): string[] {
  const voices = [first];
  const count = single ? 1 : random.pick([2, 2, 2, 3]);
  const groupOf = (name: string): string => catalog.classes.get(name)?.group ?? "";
  for (const name of random.shuffled(choice.voices)) {
    if (voices.length >= count) break;
    const clash = voices.some(
      (v) => v === name || (confusable.has(groupOf(v)) && groupOf(v) === groupOf(name)),
    );
    if (!clash) voices.push(name);
  }
  return voices;
}

/** The classes of the objects that stay silent. */
function drawSilent(
  random: Random,
  {
    choice,
    catalog,
    voices,
    single,
  }: Draw & { readonly voices: readonly string[]; readonly single: boolean },
): string[] {
  const groupOf = (name: string): string => catalog.classes.get(name)?.group ?? "";
  const taken = new Set(voices);
  const groups = new Set(voices.map(groupOf));
  const free = (name: string): boolean =>
    !taken.has(name) && !(confusable.has(groupOf(name)) && groups.has(groupOf(name)));
  const u = random.uniform();
  const count = single ? (u < 0.06 ? 0 : u < 0.5 ? 1 : u < 0.85 ? 2 : 3) : u < 0.5 ? 0 : u < 0.85 ? 1 : 2;
  const silent: string[] = [];
  const canSound = new Set(choice.voices);
  for (let i = 0; i < count; i++) {
    const v = random.uniform();
    const wanted = (name: string): boolean =>
      v < similarChance
        ? groups.has(groupOf(name))
        : v < similarChance + thingChance
          ? !canSound.has(name)
          : canSound.has(name);
    const pool = choice.seen.filter(free);
    const fitting = pool.filter(wanted);
    if (pool.length === 0) break;
    const name = random.pick(fitting.length > 0 ? fitting : pool);
    silent.push(name);
    taken.add(name);
  }
  return silent;
}
