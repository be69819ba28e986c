"""
AVSegFormer in PyTorch, written from the description of the published system, with its state-dict keys.

    python tools/reference/avsegformer.py OUT              # gradients of a small model -> OUT/avsegformer_gradients.safetensors
    python tools/reference/avsegformer.py --check S4_PVT2  # compares with the reference numbers of the published code
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


class DeformableAttention(nn.Module):
    def __init__(self, width: int, heads: int, levels: int, points: int):
        super().__init__()
        self.sizes = heads, levels, points
        self.sampling_offsets = nn.Linear(width, heads * levels * points * 2)
        self.attention_weights = nn.Linear(width, heads * levels * points)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)

    def forward(self, query, reference, source, shapes):
        """reference [S,2] in [0,1], shapes: (H, W) of every level."""
        batch, count, width = source.shape
        heads, levels, points = self.sizes
        values = self.value_proj(source).view(batch, count, heads, -1).split([h * w for h, w in shapes], 1)
        offsets = self.sampling_offsets(query).view(batch, count, heads, levels, points, 2)
        weights = self.attention_weights(query).view(batch, count, heads, -1).softmax(-1)
        scale = torch.tensor([[w, h] for h, w in shapes]).to(offsets)
        grid = 2 * (reference[None, :, None, None, None] + offsets / scale[:, None]) - 1
        sampled = []
        for i, (height, columns) in enumerate(shapes):
            maps = values[i].permute(0, 2, 3, 1).reshape(batch * heads, -1, height, columns)
            at = grid[:, :, :, i].transpose(1, 2).flatten(0, 1)  # [B*h,S,P,2]
            sampled.append(F.grid_sample(maps, at, mode="bilinear", padding_mode="zeros", align_corners=False))
        weights = weights.transpose(1, 2).reshape(batch * heads, 1, count, -1)
        mixed = (torch.cat(sampled, -1) * weights).sum(-1)  # [B*h,C/h,S]
        return self.output_proj(mixed.view(batch, width, count).transpose(1, 2))


class EncoderLayer(nn.Module):
    def __init__(self, width, heads, levels, points, hidden):
        super().__init__()
        self.self_attn = DeformableAttention(width, heads, levels, points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x, positions, reference, shapes):
        x = self.norm1(x + self.self_attn(x + positions, reference, x, shapes))
        return self.norm2(x + self.linear2(F.gelu(self.linear1(x))))


class DecoderLayer(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.cross_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, query, memory):
        query = self.norm1(query + self.self_attn(query, query, query)[0])
        query = self.norm2(query + self.cross_attn(query, memory, memory)[0])
        return self.norm3(query + self.linear2(F.gelu(self.linear1(query))))


class GeneratorLayer(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, bias=False, batch_first=True)
        self.cross_attn = nn.MultiheadAttention(width, heads, bias=False, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, query, audio):
        query = self.norm1(query + self.self_attn(query, query, query)[0])
        query = self.norm2(query + self.cross_attn(query, audio, audio)[0])
        return self.norm3(query + self.ffn(query))


class Mixer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.kv_proj = nn.Linear(width, 2 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x, audio):
        batch, width = x.shape[:2]
        split = lambda t: t.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)
        k, v = self.kv_proj(x.flatten(2).transpose(1, 2)).chunk(2, -1)
        scores = split(self.q_proj(audio)) @ split(k).transpose(-2, -1) * (width // self.heads) ** -0.5
        found = (scores.softmax(-1) @ split(v)).transpose(1, 2).reshape(batch, width)
        return x * self.proj(found).sigmoid()[..., None, None]


def classifier(width, classes):
    return nn.Sequential(
        nn.Conv2d(width, 128, 3, padding=1),
        nn.Upsample(scale_factor=4, mode="bilinear", align_corners=False),
        nn.Conv2d(128, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, classes, 1, bias=False),
    )


def branch(**parts):
    """A module that only gives its parts their place in the state dict."""
    module = nn.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    return module


def sine(height, width, features):
    """Rows and columns counted from 1; `features` values for y, then for x."""
    index = torch.arange(features, dtype=torch.float64)
    frequency = 10000 ** (2 * (index // 2) / features)
    encode = lambda n: torch.where(index % 2 == 0, (n[:, None] / frequency).sin(), (n[:, None] / frequency).cos())
    y = encode(torch.arange(1, height + 1).double())[:, None].expand(height, width, features)
    x = encode(torch.arange(1, width + 1).double())[None].expand(height, width, features)
    return torch.cat([y, x], -1).flatten(0, 1)


class Head(nn.Module):
    def __init__(self, dims, classes, width, heads, queries, layers, hidden, generator_hidden, head_hidden, groups, points):
        super().__init__()
        generator, encoder, decoder = layers
        self.level_embed = nn.Parameter(torch.zeros(3, width))
        self.learnable_query = nn.Embedding(queries, width)
        self.query_generator = branch(
            query=nn.Embedding(queries, width),
            layers=nn.ModuleList(GeneratorLayer(width, heads, generator_hidden) for _ in range(generator)),
        )
        encoder_layers = (EncoderLayer(width, heads, 3, points, hidden) for _ in range(encoder))
        decoder_layers = (DecoderLayer(width, heads, hidden) for _ in range(decoder))
        self.transformer = branch(
            encoder=branch(layers=nn.ModuleList(encoder_layers)), decoder=branch(layers=nn.ModuleList(decoder_layers))
        )
        norm = lambda: nn.GroupNorm(groups, width)
        self.in_proj = nn.ModuleList(nn.Sequential(nn.Conv2d(dim, width, 1), norm()) for dim in dims)
        sizes = [queries, head_hidden, head_hidden, width]
        self.mlp = branch(layers=nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(sizes, sizes[1:])))
        self.fusion_block = Mixer(width, heads)
        self.lateral_conv = nn.Sequential(nn.Conv2d(width, width, 1), norm())
        self.out_conv = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), norm(), nn.ReLU())
        up = lambda: nn.Sequential(nn.Identity(), nn.Conv2d(width, width, 3, padding=1))
        self.fpn = branch(up1=up(), up2=up(), up3=up())  # unused
        self.attn_fc = classifier(width, classes)  # unused
        self.fc = classifier(width, classes)

    def forward(self, maps, audio):
        finest, *coarser = (project(x) for project, x in zip(self.in_proj, maps))
        shapes = [tuple(x.shape[2:]) for x in coarser]
        x = torch.cat([m.flatten(2).transpose(1, 2) for m in coarser], 1)
        embeddings = zip(shapes, self.level_embed)
        positions = torch.cat([sine(h, w, x.shape[-1] // 2).to(x) + e for (h, w), e in embeddings])
        centers = [
            torch.stack([(torch.arange(w).repeat(h) + 0.5) / w, (torch.arange(h).repeat_interleave(w) + 0.5) / h], -1)
            for h, w in shapes
        ]
        reference = torch.cat(centers).to(x)
        # Files from before August 2023 have no generator: every query starts as the audio.
        start = self.query_generator.query.weight if self.query_generator.layers else audio
        query = start.expand(len(x), self.learnable_query.num_embeddings, -1)
        for layer in self.query_generator.layers:
            query = layer(query, audio)
        query = query + self.learnable_query.weight
        for layer in self.transformer.encoder.layers:
            x = layer(x, positions, reference, shapes)
        for layer in self.transformer.decoder.layers:
            query = layer(query, x)
        height, width = shapes[0]
        coarse = x[:, : height * width].transpose(1, 2).unflatten(2, (height, width))
        feature = self.lateral_conv(finest) + F.interpolate(coarse, size=finest.shape[2:], mode="bilinear", align_corners=False)
        feature = self.fusion_block(self.out_conv(feature), audio)
        y = torch.einsum("nqc,nchw->nqhw", query, feature)
        first, second, third = self.mlp.layers
        return self.fc(feature + third(F.relu(second(F.relu(first(y)))))), feature


class AVSegFormer(nn.Module):
    def __init__(self, encoder, dims, width, **sizes):
        super().__init__()
        self.backbone = encoder
        self.head = Head(dims, width=width, **sizes)
        self.audio_proj = nn.Linear(128, width)

    def forward(self, frames, embedding, keep=None):
        kept = (lambda x: x) if keep is None else (lambda x: x * keep.view(-1, 1, 1, 1))
        logits, feature = self.head([kept(x) for x in self.backbone(frames)], self.audio_proj(embedding)[:, None])
        return kept(logits), kept(feature)


def dice(logits, target):
    """Per frame."""
    p, g = logits.sigmoid().flatten(1), target.flatten(1)
    return 1 - 2 * (p * g).sum(1) / (p.square().sum(1) + 0.001 + g.square().sum(1) + 0.001)


def mixed(feature, size):
    return F.interpolate(feature.mean(1, keepdim=True), size=size, mode="bilinear", align_corners=False)


def case(name: str, out: dict):
    """One training step of a small model: losses, thinned gradients with their norms."""
    avss = name == "avss"
    frames = 3 if avss else 2  # frames do not meet
    dims = (16, 32, 40, 64)
    sizes = dict(width=32, heads=4, queries=6, layers=(2, 2, 2), hidden=24, generator_hidden=16, head_hidden=20, groups=4, points=2)
    model = seeded.fill(AVSegFormer(PVTv2(dims, (1, 1, 1, 1)), dims, classes=3 if avss else 1, **sizes)).train()
    # Frames for which no ReLU and no sampled position is so close to its kink that float32 lies on its other side.
    inputs = (seeded.input_("frames5", (frames, 3, 64, 64), 2), seeded.input_("embedding", (frames, 128)) + 1)
    if avss:
        keep = torch.tensor([1.0, 1, 0]).double()
        counts = torch.tensor([1.0, 0, 0]).double()
        target = ((seeded.input_("target", (frames, 64, 64)) + 1) * 1.5).long()
        logits, feature = model(*inputs, keep)
        weighted = lambda per_frame: (per_frame * counts).sum() / counts.sum()
        entropy = weighted(F.cross_entropy(logits, target, reduction="none").mean((1, 2)))
        parts = entropy, weighted(dice(mixed(feature, target.shape[1:]), (target > 0).double()))
    else:
        target = (seeded.input_("target", (frames, 1, 64, 64)) > 0.3).double()
        logits, feature = model(*inputs)
        parts = dice(logits, target).mean(), dice(mixed(feature, target.shape[2:]), target).mean()
    (parts[0] + 0.1 * parts[1]).backward()
    out[f"{name}:losses"] = torch.stack(parts).detach().float()
    for key, parameter in model.named_parameters():
        if parameter.grad is not None:
            flat = parameter.grad.reshape(-1)
            out[f"{name}:grad:{key}"] = flat[:: -(-flat.numel() // 64)].float().contiguous()
            out[f"{name}:norm:{key}"] = flat.norm().float()[None]


def check(file: str):
    """Compares the full S4 model with the reference numbers of the published code."""
    dims = (64, 128, 320, 512)
    sizes = dict(width=256, heads=8, queries=300, layers=(6, 6, 6), hidden=2048, generator_hidden=1024, head_hidden=2048, groups=32, points=4)
    model = seeded.fill(AVSegFormer(PVTv2(dims, (3, 6, 40, 3)), dims, classes=1, **sizes)).float().eval()
    with safe_open(file, "pt") as reference, torch.no_grad():
        # The embedding of the reference is taken as it is: VGGish has reference numbers of its own.
        logits, feature = model(seeded.input_("s4_frames", (5, 3, 224, 224), 2).float(), reference.get_tensor("audio"))
        step = json.loads(reference.metadata()["strides"])["mask_feature"]
        for key, value in {"logits": logits, "mask_feature": feature[tuple(slice(None, None, s) for s in step)]}.items():
            expected = reference.get_tensor(key)
            print(key, ((value - expected).abs().max() / expected.abs().max()).item())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?")
    parser.add_argument("--check")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.check:
        return check(args.check)
    out: dict = {}
    for name in ("ms3", "avss"):
        case(name, out)
    save_file(out, f"{args.out}/avsegformer_gradients.safetensors", {"origin": "tools/reference/avsegformer.py, float64"})


if __name__ == "__main__":
    main()
