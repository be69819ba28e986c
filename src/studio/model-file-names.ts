/** Files of models, recognized by their names: users give a model and its parts together. */

/** What a model file ends with. */
const modelEnding = /\.(onnx|data|safetensors|pth|pt)$/i;
/** A visual encoder beside its model. */
export const visualEncoderName: RegExp = /visual|pvt|resnet|efficientnet/i;
/** An audio encoder beside its model. */
export const audioEncoderName: RegExp = /audio|vggish|aisfx/i;
/** VGGish's PCA parameters. */
export const pcaName: RegExp = /pca/i;
/** The weights of an ONNX file that lie beside it. */
export const externalDataName: RegExp = /\.data$/i;

/** Whether a file is one of a model's and not a video. */
export function isModelFileName(name: string): boolean {
  return modelEnding.test(name);
}

/** Sorts files so that the model itself, which is not part of another one, is the first. */
export function modelFirst<F extends { readonly name: string }>(files: readonly F[]): F[] {
  const isPart = ({ name }: F): boolean =>
    externalDataName.test(name) || /^(vggish|pvt_v2|resnet50-|visual\.|audio\.|pca)/i.test(name);
  return [...files].sort((a, b) => Number(isPart(a)) - Number(isPart(b)));
}
