/** One export, in the worker. */
import type { Work } from "../engine/messages";
import { exportCutoutPictures } from "./cutout-pictures";
import { exportCoco, exportMattes, exportSegments } from "./masks";
import type { ExportRequest } from "./requests";
import { exportVideo } from "./video";

/** Makes the file. */
export async function runExport(request: ExportRequest, work: Work): Promise<File> {
  switch (request.what) {
    case "video":
    case "cutout":
      return exportVideo(request, work);
    case "cutout-pictures":
      return exportCutoutPictures(request, work);
    case "segments":
      return exportSegments(request, work);
    case "mattes":
      return exportMattes(request, work);
    case "coco":
      return exportCoco(request);
  }
}
