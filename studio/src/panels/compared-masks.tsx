/** Masks of a fine-tuning's clips side by side: corrected, before and after. */
import { signal } from "@preact/signals";
import type { ComparedClip, ComparedPicture, FineTuneJob } from "avseg/studio";
import { useEffect, useRef, useState } from "preact/hooks";
import { fineTuningClips, fineTuningPicture } from "../engine/fine-tuning-server";
import { type Failure, failureOf } from "../engine/messages";
import { percent } from "../format";
import { IconButton, Problem } from "../parts/controls";

/** Height of the drawn pictures in pixels. */
const height = 360;
/** How strongly masks are drawn. */
const opacity = 0.55;
/** What binary masks, which are white, are drawn in. */
const markColor = [255, 72, 88] as const;

const failure = signal<Failure | undefined>(undefined);

/** The clips of a fine-tuning, second by second. */
export function ComparedMasks({ job }: { job: FineTuneJob }) {
  const [clips, setClips] = useState<readonly ComparedClip[]>([]);
  const [at, setAt] = useState(0);
  const isDone = job.after !== undefined;
  useEffect(() => {
    fineTuningClips(job.id).then(setClips, (error: unknown) => {
      failure.value = failureOf(error);
    });
  }, [job.id, isDone]);
  const seconds = clips.flatMap((clip) =>
    Array.from({ length: clip.frames }, (_, frame) => ({ clip, frame })),
  );
  const shown = seconds[at];
  if (!shown) return failure.value ? <Problem {...failure.value} /> : null;
  const { clip, frame } = shown;
  const kinds = isDone ? (["corrected", "before", "after"] as const) : (["corrected", "before"] as const);
  return (
    <section class="compared" aria-label="Masks before and after">
      <div class="row">
        <h3>Second {secondOf(clip, frame)} of the video</h3>
        <span>
          <IconButton
            icon="back"
            label="Compare the second before"
            disabled={at === 0}
            onClick={() => setAt(at - 1)}
          />
          <IconButton
            icon="forward"
            label="Compare the second after"
            disabled={at === seconds.length - 1}
            onClick={() => setAt(at + 1)}
          />
        </span>
      </div>
      <div class="compared-masks">
        {kinds.map((of) => (
          <MaskPicture key={of} job={job} clip={clip} frame={frame} of={of} />
        ))}
      </div>
      {failure.value && <Problem {...failure.value} />}
    </section>
  );
}

/** The second of the video that is frame `frame` of a clip, whose name ends with its start. */
function secondOf({ id }: ComparedClip, frame: number): number {
  return Number(/_(\d+)$/.exec(id)?.[1] ?? 0) + frame;
}

const captions = { corrected: "Corrected", before: "Before", after: "After" } as const;

function MaskPicture({
  job,
  clip,
  frame,
  of,
}: {
  job: FineTuneJob;
  clip: ComparedClip;
  frame: number;
  of: Exclude<ComparedPicture, "frame">;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [marked, setMarked] = useState<number>();
  useEffect(() => {
    let isCurrent = true;
    const load = (which: ComparedPicture) => fineTuningPicture(job.id, { clip: clip.id, frame, of: which });
    Promise.all([load("frame"), load(of)]).then(
      ([picture, mask]) => {
        if (isCurrent && canvas.current) setMarked(draw(canvas.current, picture, mask));
        failure.value = undefined;
      },
      (error: unknown) => {
        if (isCurrent) failure.value = failureOf(error);
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [job.id, clip.id, frame, of]);
  const miou = of === "corrected" ? undefined : clip[of];
  const found = marked === undefined ? "" : `: ${percent(marked)} of the picture marked`;
  return (
    <figure>
      <figcaption>
        {captions[of]}
        {miou !== undefined && <small> mIoU of the clip {miou.toFixed(3)}</small>}
      </figcaption>
      <canvas
        ref={canvas}
        width={Math.round(height * job.aspect)}
        height={height}
        role="img"
        aria-label={`${captions[of]}, second ${secondOf(clip, frame)}${found}`}
      />
    </figure>
  );
}

/** Draws a frame with its mask, both stretched to the canvas; gives the fraction of the picture that is marked. */
function draw(canvas: HTMLCanvasElement, picture: ImageBitmap, mask: ImageBitmap): number {
  const layer = new OffscreenCanvas(mask.width, mask.height);
  const context = layer.getContext("2d");
  const target = canvas.getContext("2d");
  if (!context || !target) return 0;
  context.drawImage(mask, 0, 0);
  const image = context.getImageData(0, 0, mask.width, mask.height);
  const { data } = image;
  let marked = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [red = 0, green = 0, blue = 0] = data.subarray(i, i + 3);
    const isMarked = red + green + blue > 0;
    if (isMarked) marked++;
    if (red + green + blue === 3 * 255) data.set(markColor, i);
    data[i + 3] = isMarked ? 255 * opacity : 0;
  }
  context.putImageData(image, 0, 0);
  target.drawImage(picture, 0, 0, canvas.width, canvas.height);
  target.drawImage(layer, 0, 0, canvas.width, canvas.height);
  return marked / (mask.width * mask.height);
}
