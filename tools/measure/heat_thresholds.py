"""How well threshold rules turn heat maps into masks (for DenseAV, whose code draws heat maps only).

Usage: python tools/measure/heat_thresholds.py FOLDER    FOLDER: s4_data/gt_masks/test of SoundShapes, `avseg data synth s4`

True masks are averaged over 8x8 patches, blurred by how far heat spreads, and get a smooth background and noise; the maps
are enlarged and scaled over the clip as DenseAV shows them. Prints the mean IoU of every rule.
"""
import glob
import sys

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)
clips = sorted(glob.glob(sys.argv[1] + "/*/*"))


def load(clip):
    files = sorted(glob.glob(clip + "/*.png"))
    return np.stack([np.array(Image.open(f).convert("L").resize((224, 224), 0)) > 127 for f in files])


def blur(maps, spread):
    if spread == 0:
        return maps
    kernel = np.exp(-(np.arange(-3 * spread, 3 * spread + 1) ** 2) / (2 * spread * spread))
    kernel /= kernel.sum()

    def along(v):
        return np.convolve(np.pad(v, len(kernel) // 2, mode="edge"), kernel, "valid")

    return np.apply_along_axis(along, 2, np.apply_along_axis(along, 1, maps))


def enlarge(maps, size):
    return np.stack([np.array(Image.fromarray(x.astype("f")).resize((size, size), 3)) for x in maps])


def otsu(values):
    candidates = np.arange(1, 64) / 64
    edges = np.concatenate([[-1], candidates, [2]])
    counts = np.histogram(values, bins=edges)[0]
    sums = np.histogram(values, bins=edges, weights=values)[0]
    n0, s0 = np.cumsum(counts)[:-1], np.cumsum(sums)[:-1]
    n1, s1 = counts.sum() - n0, sums.sum() - s0
    with np.errstate(all="ignore"):
        between = np.nan_to_num(n0 * n1 * (s0 / n0 - s1 / n1) ** 2)
    return candidates[between >= between.max() * (1 - 1e-6)].mean()


rules = {
    "Otsu": otsu,
    "0.3": lambda v: 0.3,
    "0.5": lambda v: 0.5,
    "0.7": lambda v: 0.7,
    "highest 10%": lambda v: np.quantile(v, 0.9),
    "highest 20%": lambda v: np.quantile(v, 0.8),
    "mean + deviation": lambda v: v.mean() + v.std(),
}
cases = {"clean": (0, 0, 0.02), "spread": (1, 0.1, 0.05), "weak": (2, 0.25, 0.1)}
for name, (spread, background, noise) in cases.items():
    found = {rule: [] for rule in rules}
    for clip in clips:
        masks = load(clip)
        patches = masks.reshape(len(masks), 28, 8, 28, 8).mean((2, 4))
        heat = blur(patches, spread) + background * enlarge(rng.normal(size=(len(masks), 4, 4)), 28)
        heat = enlarge(heat + noise * rng.normal(size=patches.shape), 224)
        heat = np.maximum(heat, 0)
        heat -= heat.min()
        heat /= heat.max()
        for rule, threshold in rules.items():
            marked = heat > threshold(heat.ravel())
            union = np.maximum((marked | masks).sum((1, 2)), 1)
            found[rule].append(((marked & masks).sum((1, 2)) / union).mean())
    print(name, {rule: round(float(np.mean(values)), 3) for rule, values in found.items()})
