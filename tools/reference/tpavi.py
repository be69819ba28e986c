"""
TPAVI in PyTorch, written from the description of the published system, with its state-dict keys.

    python tools/reference/tpavi.py OUT                  # gradients of a small model -> OUT/tpavi_gradients.safetensors
    python tools/reference/tpavi.py --check S4_PVT2      # compares with the reference numbers of the published code
"""
import argparse
import json

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

import seeded
from pvt_v2 import PVTv2


class Context(nn.Module):
    def __init__(self, inputs: int, channels: int):
        super().__init__()
        convs = [nn.Conv2d(inputs, channels, 3, padding=d, dilation=d) for d in (3, 6, 12, 18)]
        self.conv2d_list = nn.ModuleList(convs)

    def forward(self, x):
        return sum(conv(x) for conv in self.conv2d_list)


class Block(nn.Module):
    """x [G,C,T,H,W], audio [G,T,128] or None (then x attends to itself) -> the same shape, aligned audio [G,T,C]."""

    def __init__(self, channels: int, bias: bool):
        super().__init__()
        inner = channels // 2
        self.align_channel = nn.Linear(128, channels, bias=bias)
        self.norm_layer = nn.LayerNorm(channels)
        self.g = nn.Conv3d(channels, inner, 1)
        self.W_z = nn.Sequential(nn.Conv3d(inner, channels, 1), nn.BatchNorm3d(channels))
        self.theta = nn.Conv3d(channels, inner, 1)
        self.phi = nn.Conv3d(channels, inner, 1)

    def forward(self, x, audio=None):
        aligned = None if audio is None else self.align_channel(audio)
        source = x if aligned is None else aligned.transpose(1, 2)[..., None, None].expand(x.shape)
        theta, phi, g = (layer(v).flatten(2) for layer, v in ((self.theta, x), (self.phi, source), (self.g, x)))
        scores = theta.transpose(1, 2) @ phi / phi.shape[-1]  # [G,P,P]
        y = (scores @ g.transpose(1, 2)).transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])
        z = self.W_z(y) + x
        return self.norm_layer(z.movedim(1, -1)).movedim(-1, 1), aligned


class Unit(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        x = F.relu(x)  # the published ReLU works in place, so the shortcut is rectified too
        return self.conv2(F.relu(self.conv1(x))) + x


class Path(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.resConfUnit1 = Unit(channels)
        self.resConfUnit2 = Unit(channels)

    def forward(self, x, skip=None):
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        return F.interpolate(self.resConfUnit2(x), scale_factor=2, mode="bilinear", align_corners=True)


class TPAVI(nn.Module):
    def __init__(self, encoder: nn.Module, dims, channels: int, classes: int, avss: bool, vv: bool = False):
        super().__init__()
        self.vv = vv
        self.encoder_backbone = encoder
        for i, dim in enumerate(dims, 1):
            setattr(self, f"conv{i}", Context(dim, channels))
            setattr(self, f"tpavi_b{i}", Block(channels, bias=not avss))
            setattr(self, f"path{i}", Path(channels))
        self.output_conv = nn.Sequential(
            nn.Conv2d(channels, 128, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(128, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, classes, 1),
        )

    def forward(self, frames, embedding, keep=None):
        """-> logits [N,K,H,W], rectified maps and aligned audio [N,C] of the four stages."""
        kept = (lambda x: x) if keep is None else (lambda x: x * keep.view(-1, *[1] * (x.dim() - 1)))
        audio = kept(embedding).unflatten(0, (-1, 5))
        maps, aligned = [], []
        for i, stage in enumerate(self.encoder_backbone(frames), 1):
            x = kept(getattr(self, f"conv{i}")(stage)).unflatten(0, (-1, 5)).transpose(1, 2)  # [G,C,T,H,W]
            block = getattr(self, f"tpavi_b{i}")
            results = [block(x)[0]] if self.vv else []
            joined, a = block(x, audio)
            results.append(joined)
            maps.append(F.relu(kept((sum(results) / len(results)).transpose(1, 2).flatten(0, 1))))
            aligned.append(a.flatten(0, 1))
        f = None
        for i in (4, 3, 2, 1):
            path = getattr(self, f"path{i}")
            f = kept(path(maps[3]) if f is None else path(f, maps[i - 1]))
        return kept(self.output_conv(f)), maps, aligned


def divergence(audio, visual):
    """KL(softmax(audio) || softmax(visual)) of every frame."""
    target = audio.softmax(-1)
    return (target * (target.log() - visual.log_softmax(-1))).sum(-1)


def matching(mask, maps, aligned, reduce):
    """Audio-visual matching: the mask [N,1,H,W] pooled to each stage weighs its map. `mask` is a function of the size."""
    losses = [reduce(divergence(a, (v * mask(v.shape[2:])).mean((2, 3)))) for v, a in zip(maps, aligned)]
    return sum(losses) / len(losses)


def ms3_loss(outputs, target):
    logits, maps, aligned = outputs
    bce = F.binary_cross_entropy_with_logits(logits, target)
    match = matching(lambda size: F.adaptive_avg_pool2d(logits, size).sigmoid(), maps, aligned, torch.sum)
    return bce, match


def avss_loss(outputs, target, counts):
    logits, maps, aligned = outputs
    weighted = lambda per_frame: (per_frame * counts).sum() / counts.sum()
    entropy = weighted(F.cross_entropy(logits, target, reduction="none").mean((1, 2)))
    found = (logits.argmax(1, keepdim=True) != 0).to(logits)
    match = matching(lambda size: F.adaptive_avg_pool2d(found, size), maps, aligned, weighted)
    return entropy, match


def thinned(tensor, most=64):
    flat = tensor.detach().reshape(-1)
    return flat[:: -(-flat.numel() // most)].float().contiguous()


def case(name: str, out: dict):
    """One training step of a small model: losses, thinned gradients with their norms, new running statistics."""
    avss = name == "avss"
    frames = 10 if avss else 5
    classes = 3 if avss else 1
    dims = (16, 32, 40, 64)
    encoder = PVTv2(dims, (1, 1, 1, 1))
    model = seeded.fill(TPAVI(encoder, dims, 16, classes, avss, vv=name == "ms3_vv")).train()
    inputs = (seeded.input_("frames", (frames, 3, 64, 64), 2), seeded.input_("embedding", (frames, 128)) + 1)
    if avss:
        keep = torch.tensor([1.0] * 7 + [0] * 3).double()
        counts = torch.tensor([1.0] * 5 + [0] * 5).double()
        target = ((seeded.input_("target", (frames, 64, 64)) + 1) * 1.5).long()
        parts = avss_loss(model(*inputs, keep), target, counts)
    else:
        target = (seeded.input_("target", (frames, 1, 64, 64)) > 0.3).double()
        parts = ms3_loss(model(*inputs), target)
    (parts[0] + 0.5 * parts[1]).backward()
    out[f"{name}:losses"] = torch.stack(parts).detach().float()
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            out[f"{name}:grad:{key}"] = thinned(parameter.grad)
            out[f"{name}:norm:{key}"] = parameter.grad.norm().float()[None]
    for key, buffer in model.named_buffers():
        if "running" in key:
            out[f"{name}:after:{key}"] = buffer.float()


def check(file: str):
    """Compares the full S4 model with the reference numbers of the published code."""
    dims = (64, 128, 320, 512)
    model = seeded.fill(TPAVI(PVTv2(dims, (3, 6, 40, 3)), dims, 256, 1, False)).float().eval()
    with safe_open(file, "pt") as reference, torch.no_grad():
        # The embedding of the reference is taken as it is: VGGish has reference numbers of its own.
        logits, maps, aligned = model(seeded.input_("s4_frames", (5, 3, 224, 224), 2).float(), reference.get_tensor("audio"))
        strides = json.loads(reference.metadata()["strides"])
        values = {"logits": logits, "tpavi1_audio": aligned[0][None]}
        values |= {f"returned_map{i + 1}": m for i, m in enumerate(maps)}
        for key, value in values.items():
            expected = reference.get_tensor(key)
            thin = value[tuple(slice(None, None, s) for s in strides.get(key, [1] * value.dim()))]
            print(key, ((thin - expected).abs().max() / expected.abs().max()).item())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?")
    parser.add_argument("--check")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.check:
        return check(args.check)
    out: dict = {}
    for name in ("ms3", "ms3_vv", "avss"):
        case(name, out)
    save_file(out, f"{args.out}/tpavi_gradients.safetensors", {"origin": "tools/reference/tpavi.py, float64"})


if __name__ == "__main__":
    main()
