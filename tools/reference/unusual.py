"""
Unusual clips through small models of other published systems: the smallest frames, frames that are not square, a single frame,
several clips at once, black frames, silence, padding in the middle of a clip, sounds of odd and minimal lengths.

    python tools/reference/unusual.py OUT    # -> OUT/unusual.safetensors
"""
import math
import sys
from pathlib import Path

import torch
from torch import nn

import seeded
from avsegformer import AVSegFormer
from denseav import DenseAV, shown, similarity
from encoders import Res50, Vggish
from pvt_v2 import PVTv2
from selm import SelM
from store import save
from tpavi import TPAVI

DIMS = (16, 32, 40, 64)
QUERY_SIZES = dict(heads=4, queries=6, layers=(2, 2, 2), hidden=24, generator_hidden=16, head_hidden=20, groups=4, points=2)


def encoder():
    return PVTv2(DIMS, (1, 1, 1, 1))


def frames_of(case: str, count: int, size: int):
    """Frames named `black` are those of a black picture after normalization, others are seeded."""
    if "black" not in case:
        return seeded.input_("frames", (count, 3, size, size), 2)
    black = torch.tensor([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]).double()
    return black.float().double()[None, :, None, None].expand(count, 3, size, size)


def embedding_of(case: str, count: int):
    """Of log-mels: seeded ones, or those of digital silence."""
    holder = nn.Module()
    holder.vggish = Vggish((4,) * 6, 8)
    seeded.fill(holder)
    mel = seeded.input_("log_mel", (count, 1, 96, 64), 3)
    if "silent" in case:
        mel = torch.full_like(mel, math.log(0.01)).float().double()
    return holder.vggish(mel)


def tpavi(out: dict):
    for case, count, size, keep in (
        ("tpavi: frames of 32 pixels", 5, 32, None),
        ("tpavi: two clips, black and silent", 10, 96, None),
        ("tpavi: padding within a clip", 10, 64, (1, 0, 1, 1, 0, 0, 0, 0, 0, 0)),
    ):
        model = seeded.fill(TPAVI(encoder(), DIMS, 16, 3 if keep else 1, bool(keep))).eval()
        inputs = frames_of(case, count, size), embedding_of(case, count)
        logits, maps, _ = model(*inputs, torch.tensor(keep).double() if keep else None)
        out |= {f"{case}: logits": logits, f"{case}: map": maps[3]}


def avsegformer(out: dict):
    for case, count, size, keep in (
        ("avsegformer: one silent frame of 32 pixels", 1, 32, None),
        ("avsegformer: two clips, black", 10, 96, None),
        ("avsegformer: padding within a clip", 10, 64, (1, 0, 1, 1, 0, 0, 0, 0, 0, 0)),
        ("avsegformer: queries of before August 2023", 5, 64, None),
    ):
        layers = (0, 2, 2) if "before" in case else (2, 2, 2)
        sizes = QUERY_SIZES | dict(layers=layers, classes=3 if keep else 1)
        model = seeded.fill(AVSegFormer(encoder(), DIMS, width=32, **sizes)).eval()
        inputs = frames_of(case, count, size), embedding_of(case, count)
        logits, feature = model(*inputs, torch.tensor(keep).double() if keep else None)
        out |= {f"{case}: logits": logits, f"{case}: feature": feature}


def selm(out: dict):
    for case, count, clip, mask, keep in (
        ("selm: a clip of one frame", 1, 1, 24, None),
        ("selm: two clips", 10, 5, 24, None),
        ("selm: black and silent", 5, 5, 40, None),
        ("selm: padding within a clip", 10, 10, 64, (1, 0, 1, 1, 0, 0, 0, 0, 0, 0)),
        ("selm: ResNet-50", 5, 5, 64, None),
    ):
        backbone = Res50() if "ResNet" in case else encoder()
        sizes = dict(size=64, frames=clip, d=32, groups=4, enlargements=2, classes=3 if keep else 1, mask=mask)
        model = seeded.fill(SelM(backbone, **sizes)).eval()
        inputs = frames_of(case, count, 64), embedding_of(case, count)
        logits, tokens = model(*inputs, torch.tensor(keep).double() if keep else None)
        print(case, "smallest gap of a choice", model.gap())
        out |= {f"{case}: logits": logits, f"{case}: tokens": tokens}


def denseav(out: dict):
    frames = dict(width=24, depth=2, heads=2, side=3)
    sound = dict(conv=8, width=32, depth=2, heads=2, hidden=48, kernel=8, groups=4)
    model = seeded.fill(DenseAV(24, 2, frames, sound)).eval()
    for case, size, samples in (
        ("denseav: frames and sounds of odd sizes", (2, 3, 40, 72), 17_001),
        ("denseav: frames of one row, the shortest sound", (1, 3, 8, 72), 3_600),
        ("denseav: black and silent", (3, 3, 24, 24), 16_000),
    ):
        black = frames_of("black", 1, 1).expand(size)
        x = black if "black" in case else seeded.input_("frames", size, 2)
        wave = torch.zeros(1, samples).double() if "silent" in case else seeded.input_("wave", (1, samples), 0.5)
        vectors, steps = model.encode_frames(x), model.encode_sound(wave)
        maps = similarity(vectors, steps[0], 2)
        out |= {f"{case}: frames": vectors, f"{case}: sound": steps, f"{case}: shown": shown(maps, size[2:])}


def main():
    torch.set_num_threads(1)
    out: dict = {}
    with torch.no_grad():
        for part in (tpavi, avsegformer, selm, denseav):
            part(out)
    save(Path(sys.argv[1]) / "unusual.safetensors", out, {"origin": "tools/reference/unusual.py, float64"}, limit=1024)


if __name__ == "__main__":
    main()
