/** What can be exported. */
import type { ModelFacts, Step } from "avseg/studio";
import type { Look } from "../masks/compose";
import type { MaskControls } from "../masks/moment";
import type { VideoFacts } from "../media/probe";

/** The kinds of files. */
export const exportKinds = [
  { id: "video", label: "Video as shown", note: "MP4 or WebM with sound and the original timestamps" },
  { id: "cutout", label: "Cut-out with alpha", note: "WebM whose background is transparent" },
  { id: "cutout-pictures", label: "Cut-out as pictures", note: "a zip with a transparent PNG per frame" },
  { id: "segments", label: "Masks and segments.json", note: "a zip with the files of avseg segment" },
  { id: "mattes", label: "Mattes of every frame", note: "a zip with a PNG per frame" },
  { id: "coco", label: "COCO run lengths", note: "JSON for pycocotools, one entry per second and class" },
] as const;

/** The name of a kind. */
export type ExportKind = (typeof exportKinds)[number]["id"];

/** All that a worker needs to export. */
export interface ExportRequest {
  readonly what: ExportKind;
  readonly file: File;
  readonly facts: VideoFacts;
  readonly model: Pick<ModelFacts, "classes" | "frameCount" | "imageSize">;
  readonly modelName: string;
  readonly steps: readonly Step[];
  readonly look: Look;
  readonly controls: MaskControls;
}
