/** TPAVI's convolutions: the context modules before its blocks, and the decoder after them. */
import { add, conv2d, dim, relu, resize, slice, type Value } from "../../graph/index.js";
import { convolution, normalInit, type Pass, type Scope, upsampledConv } from "../../nn/index.js";
import { realFrames } from "../frame-axis.js";

/** Dilation, and padding, of the four convolutions of a context module. */
const dilations = [3, 6, 12, 18] as const;
/** Channels of the head's convolutions. */
const headChannels = [128, 32] as const;

/** The sum of four dilated 3x3 convolutions of one map.  `[N,I,H,W]` -> `[N,C,H,W]` */
export function contextModule(scope: Scope, inputs: number, outputs: number) {
  const branches = dilations.map((dilation, i) => ({
    dilation,
    conv: convolution(scope.at("conv2d_list").at(i), {
      inputs,
      outputs,
      dilation,
      weightInit: normalInit(0.01),
    }),
  }));
  return (map: Value, pass: Pass): Value =>
    branches
      .map(({ dilation, conv }) => {
        const reaches = dilation < Math.max(dim(map, 2), dim(map, 3));
        return reaches || !pass.fused ? conv(map) : centerTap(conv.weight, conv.bias, map);
      })
      .reduce((a, b) => add(a, b));
}

/** A 3x3 convolution whose outer taps all fall on the padding. */
function centerTap(weight: Value, bias: Value, map: Value): Value {
  const center = [2, 3].map((axis) => ({ axis, start: 1, end: 2 }));
  return conv2d(map, slice(weight, center), bias);
}

/** From coarse to fine, as RefineNet does, then to the size of the frames.  Rectified maps `[N,C,H,W]` -> `[N,K,4H,4W]` */
export function decoder(scope: Scope, channels: number, classes: number) {
  const paths = [1, 2, 3, 4].map((number) => {
    const path = scope.at(`path${number}`);
    return {
      // The coarsest path has nothing to join.
      enter: residualUnit(
        number === 4 ? path.at("resConfUnit1").unused() : path.at("resConfUnit1"),
        channels,
      ),
      refine: residualUnit(path.at("resConfUnit2"), channels),
    };
  });
  const [wide, narrow] = headChannels;
  const head = scope.at("output_conv");
  const first = convolution(head.at(0), { inputs: channels, outputs: wide });
  const second = convolution(head.at(2), { inputs: wide, outputs: narrow });
  const classify = convolution(head.at(4), { inputs: narrow, outputs: classes, kernel: 1 });

  return (maps: readonly Value[], mask: Value | undefined, pass: Pass): Value => {
    const fused = maps.reduceRight<Value | undefined>((coarser, map, i) => {
      const path = paths[i];
      if (path === undefined) throw new RangeError(`tpavi: no path of stage ${i}`);
      const joined = coarser === undefined ? map : relu(add(coarser, path.enter(map)));
      const size = { height: 2 * dim(map, 2), width: 2 * dim(map, 3) };
      return realFrames(resize(path.refine(joined), { mode: "bilinear-corners", ...size }), mask);
    }, undefined);
    if (fused === undefined) throw new RangeError("tpavi: no stages");
    const enlarged = upsampledConv(first(fused), { ...second, factor: 2 }, pass); // [N,32,4H,4W]
    return realFrames(classify(relu(enlarged)), mask);
  };
}

/** Two convolutions and a shortcut. The published ReLU works in place, so the shortcut of its input is rectified too. */
function residualUnit(scope: Scope, channels: number) {
  const first = convolution(scope.at("conv1"), { inputs: channels, outputs: channels });
  const second = convolution(scope.at("conv2"), { inputs: channels, outputs: channels });
  /** `rectified` is the ReLU of the unit's input. */
  return (rectified: Value): Value => add(second(relu(first(rectified))), rectified);
}
