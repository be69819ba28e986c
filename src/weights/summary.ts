/** What is in a weight file, for people to read. */
import { sizeOf } from "../tensor.js";
import type { ElementType } from "./elements.js";
import { storedBytes, type TensorInfo, type WeightFormat, type WeightListing } from "./state-dict.js";

/** Sums over some tensors. */
export interface WeightTotals {
  readonly tensors: number;
  readonly elements: number;
  /** As stored. */
  readonly bytes: number;
}

/** A weight file at a glance. */
export interface WeightSummary extends WeightTotals {
  readonly format: WeightFormat;
  readonly metadata: Readonly<Record<string, string>>;
  readonly types: ReadonlyMap<ElementType, WeightTotals>;
  /** By the first parts of the keys, in the order of the file: `bridger.Fusers.0`, `decoder.fusion_blocks`, ... */
  readonly groups: ReadonlyMap<string, WeightTotals>;
}

/** Sums up a listing; keys are grouped by their first `depth` parts (one less than they have at most). */
export function summarizeWeights(listing: WeightListing, { depth = 1 } = {}): WeightSummary {
  const types = new Map<ElementType, WeightTotals>();
  const groups = new Map<string, WeightTotals>();
  let total = nothing;
  for (const [key, info] of listing.tensors) {
    const parts = key.split(".");
    const group = parts.slice(0, Math.min(depth, Math.max(1, parts.length - 1))).join(".");
    types.set(info.type, plus(types.get(info.type), info));
    groups.set(group, plus(groups.get(group), info));
    total = plus(total, info);
  }
  return { format: listing.format, metadata: listing.metadata, types, groups, ...total };
}

const nothing: WeightTotals = { tensors: 0, elements: 0, bytes: 0 };

function plus({ tensors, elements, bytes } = nothing, info: TensorInfo): WeightTotals {
  return {
    tensors: tensors + 1,
    elements: elements + sizeOf(info.shape),
    bytes: bytes + storedBytes(info),
  };
}
