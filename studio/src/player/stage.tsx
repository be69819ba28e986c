/** The picture with its mask, in step to the frame. */
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Composer } from "../masks/compose";
import { within } from "../masks/labels";
import { maskAt } from "../masks/moment";
import type { Item } from "../state/library";
import { attach, player, togglePlay } from "../state/player";
import type { Result } from "../state/result";
import { controls, look } from "../state/settings";

/** Masks are drawn with at most this longer side: the model knows no finer ones. */
const maskSide = 640;
/** Pictures are drawn with at most this longer side. */
const pictureSide = 1280;

/** Draws the moment that `video` shows; returns what stops it. */
function drawOn(canvas: HTMLCanvasElement, video: HTMLVideoElement, result: Result): () => void {
  const composer = new Composer();
  const context = canvas.getContext("2d");
  let shown = 0;
  const draw = (): void => {
    if (!context || video.videoWidth === 0 || video.readyState < 2) return;
    const picture = within(pictureSide, video.videoWidth, video.videoHeight);
    if (canvas.width !== picture.width) canvas.width = picture.width;
    if (canvas.height !== picture.height) canvas.height = picture.height;
    const size = {
      ...within(maskSide, video.videoWidth, video.videoHeight),
      classes: result.labelNames,
    };
    const mask = maskAt(result.steps, shown, { size, controls: controls.value });
    composer.draw(context, video, { mask, look: look.value });
  };
  let frame = 0;
  let watched = true;
  const onFrame: VideoFrameRequestCallback = (_, { mediaTime }) => {
    if (!watched) return;
    shown = mediaTime;
    draw();
    frame = video.requestVideoFrameCallback(onFrame);
  };
  frame = video.requestVideoFrameCallback(onFrame);
  const stop = effect(() => {
    // Read, so that every change of them draws the picture again.
    void [result.count.value, look.value, controls.value];
    draw();
  });
  return () => {
    watched = false;
    video.cancelVideoFrameCallback(frame);
    stop();
  };
}

/** A video under its canvas. `primary` ones are what the transport controls. */
export function Stage({ item, result, caption }: { item: Item; result: Result; caption?: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const primary = caption === undefined || result === item.result;
  useEffect(() => {
    if (!canvas.current || !video.current) return;
    return drawOn(canvas.current, video.current, result);
  }, [item, result]);
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    if (primary) {
      attach(element);
      return () => attach(undefined);
    }
    // The other picture follows the first one.
    element.muted = true;
    return effect(() => {
      const { time, playing, speed } = player;
      element.playbackRate = speed.value;
      if (playing.value && element.paused) element.play().catch(() => undefined);
      if (!playing.value && !element.paused) element.pause();
      if (Math.abs(element.currentTime - time.value) > 0.15) element.currentTime = time.value;
    });
  }, [item, primary]);
  const report = primary
    ? {
        onTimeUpdate: () => follow(video.current),
        onSeeked: () => follow(video.current),
        onLoadedMetadata: () => {
          player.duration.value = video.current?.duration ?? 0;
          player.frameRate.value = item.facts.value?.frameRate || 25;
          follow(video.current);
        },
        onPlay: () => {
          player.playing.value = true;
        },
        onPause: () => {
          player.playing.value = false;
        },
      }
    : {};
  const transparent = look.value.id === "cutout";
  return (
    <figure class={transparent ? "stage checkered" : "stage"}>
      <video
        ref={video}
        src={item.url}
        playsInline
        preload="auto"
        tabIndex={-1}
        aria-hidden="true"
        {...report}
      />
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${item.name}${caption ? `, ${caption}` : ""} with what sounds marked`}
        onClick={togglePlay}
      />
      {caption && <figcaption>{caption}</figcaption>}
    </figure>
  );
}

function follow(video: HTMLVideoElement | null): void {
  if (video) player.time.value = video.currentTime;
}
