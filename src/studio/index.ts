/**
 * avseg/studio, what the app `avseg studio` and its local server agree on: segmented seconds in few bytes, and the
 * messages between the two. It needs neither Node nor a browser.
 * @module avseg/studio
 */
export { defaultStrength, lookEffects, lookLabels, looks } from "../media/looks.js";
export { monoOf, type PlanarSound } from "../media/mono.js";
export type { FrameRate, VideoInfo } from "../media/video.js";
export { type CocoAnnotation, type CocoRle, cocoAnnotations } from "../segment/coco-rle.js";
export { labelNames, maskPicture } from "../segment/mask.js";
export type { ProbabilityMap } from "../segment/probability-map.js";
export { type FrameRecord, notesOf, recordOf, segmentsJson } from "../segment/segments-json.js";
export * from "./fine-tuning.js";
export {
  audioEncoderName,
  externalDataName,
  isModelFileName,
  modelFirst,
  pcaName,
  visualEncoderName,
} from "./model-file-names.js";
export { addPlane, classesOf, type PackedMap, type PlaneTerm, packMap } from "./packed-map.js";
export * from "./protocol.js";
export { labelsOf, type Runs, runsOf } from "./runs.js";
export { type Step, stepOf } from "./step.js";
export { withOtherSound } from "./swapped-sound.js";
