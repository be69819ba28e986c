/** The state of the player, and what can be done with it. */
import { signal } from "@preact/signals";

/** Where the player is. */
export const player = {
  time: signal(0),
  duration: signal(0),
  playing: signal(false),
  speed: signal(1),
  loop: signal(false),
  muted: signal(false),
  /** Pictures per second of the video. */
  frameRate: signal(25),
};

/** Speeds to choose from. */
export const speeds = [0.25, 0.5, 1, 1.5, 2, 4];

let element: HTMLVideoElement | undefined;

/** Connects the state to the video that is shown. */
export function attach(video: HTMLVideoElement | undefined): void {
  element = video;
  if (!video) return;
  video.playbackRate = player.speed.value;
  video.loop = player.loop.value;
  video.muted = player.muted.value;
}

/** Goes to a time. */
export function seek(time: number): void {
  const target = Math.min(Math.max(0, time), Math.max(0, player.duration.value - 0.001));
  player.time.value = target;
  if (element) element.currentTime = target;
}

/** Goes by some seconds. */
export function seekBy(seconds: number): void {
  seek(player.time.value + seconds);
}

/** Goes by some pictures; playing stops. */
export function stepFrames(count: number): void {
  element?.pause();
  seekBy(count / player.frameRate.value);
}

/** Plays or pauses. */
export function togglePlay(): void {
  if (!element) return;
  // Where a browser forbids playing with sound before a click, the player stays paused.
  if (element.paused) element.play().catch(() => undefined);
  else element.pause();
}

/** Plays at another speed. */
export function setSpeed(value: number): void {
  player.speed.value = value;
  if (element) element.playbackRate = value;
}

/** Goes to the next slower or faster speed. */
export function changeSpeed(by: 1 | -1): void {
  const at = speeds.indexOf(player.speed.value) + by;
  const next = speeds[Math.min(speeds.length - 1, Math.max(0, at))];
  if (next !== undefined) setSpeed(next);
}

/** Starts over at the end, or not. */
export function toggleLoop(): void {
  player.loop.value = !player.loop.value;
  if (element) element.loop = player.loop.value;
}

/** Turns sound off or on. */
export function toggleMuted(): void {
  player.muted.value = !player.muted.value;
  if (element) element.muted = player.muted.value;
}
