"""DenseAV in PyTorch, written from the description of the published system, with its state-dict keys (without adapters)."""
import torch
from torch import nn
from torch.nn import functional as F

EPSILON = 1e-4


def branch(**parts):
    """A module that only gives its parts their place in the state dict."""
    module = nn.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    return module


def norm(width: int):
    return nn.LayerNorm(width, eps=EPSILON)


def attention(q, k, v, heads: int):
    split = lambda x: x.unflatten(-1, (heads, -1)).transpose(1, 2)
    return F.scaled_dot_product_attention(split(q), split(k), split(v)).transpose(1, 2).flatten(2)


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.norm1, self.norm2 = heads, norm(width), norm(width)
        self.attn = branch(qkv=nn.Linear(width, 3 * width), proj=nn.Linear(width, width))
        self.mlp = branch(fc1=nn.Linear(width, 4 * width), fc2=nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attn.proj(attention(*self.attn.qkv(self.norm1(x)).chunk(3, -1), self.heads))
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class Dino(nn.Module):
    """frames [N,3,H,W] -> patches [N,C,H/8,W/8]"""

    def __init__(self, width: int, depth: int, heads: int, side: int):
        super().__init__()
        self.side = side
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, width))
        self.patch_embed = branch(proj=nn.Conv2d(3, width, 8, 8))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = norm(width)

    def positions(self, height: int, width: int):
        if (height, width) == (self.side, self.side):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].unflatten(1, (self.side, self.side)).permute(0, 3, 1, 2)
        scale = ((height + 0.1) / self.side, (width + 0.1) / self.side)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", recompute_scale_factor=False)
        assert grid.shape[2:] == (height, width)
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).transpose(1, 2)], 1)

    def forward(self, frames):
        x = self.patch_embed.proj(frames)
        height, width = x.shape[2:]
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1) + self.positions(height, width)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 1:].transpose(1, 2).unflatten(2, (height, width))


class PositionConvolution(nn.Module):
    def __init__(self, width: int, kernel: int, groups: int):
        super().__init__()
        self.groups, self.bias = groups, nn.Parameter(torch.zeros(width))
        weight = branch(original0=nn.Parameter(torch.zeros(1, 1, kernel)), original1=nn.Parameter(torch.zeros(width, width // groups, kernel)))
        self.parametrizations = branch(weight=weight)

    def forward(self, x):
        gain, v = self.parametrizations.weight.original0, self.parametrizations.weight.original1
        weight = gain * v / v.norm(dim=(0, 1), keepdim=True)
        y = F.conv1d(x.transpose(1, 2), weight, self.bias, padding=weight.shape[2] // 2, groups=self.groups)[..., :-1]
        return F.gelu(y).transpose(1, 2)


class SpeechLayer(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads, self.layer_norm, self.final_layer_norm = heads, norm(width), norm(width)
        self.attention = branch(**{f"{name}_proj": nn.Linear(width, width) for name in ("q", "k", "v", "out")})
        self.feed_forward = branch(intermediate_dense=nn.Linear(width, hidden), output_dense=nn.Linear(hidden, width))

    def forward(self, x):
        a, y = self.attention, self.layer_norm(x)
        x = x + a.out_proj(attention(a.q_proj(y), a.k_proj(y), a.v_proj(y), self.heads))
        return x + self.feed_forward.output_dense(F.gelu(self.feed_forward.intermediate_dense(self.final_layer_norm(x))))


class Hubert(nn.Module):
    """waves [B,S] -> steps [B,T,C]"""

    def __init__(self, conv: int, width: int, depth: int, heads: int, hidden: int, kernel: int, groups: int):
        super().__init__()
        sizes = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
        layers = [
            branch(conv=nn.Conv1d(conv if i else 1, conv, k, s), layer_norm=nn.LayerNorm(conv)) for i, (k, s) in enumerate(sizes)
        ]
        self.feature_extractor = branch(conv_layers=nn.ModuleList(layers))
        self.feature_projection = branch(layer_norm=norm(conv), projection=nn.Linear(conv, width))
        speech = nn.ModuleList(SpeechLayer(width, heads, hidden) for _ in range(depth))
        self.encoder = branch(
            pos_conv_embed=branch(conv=PositionConvolution(width, kernel, groups)), layers=speech, layer_norm=norm(width)
        )

    def forward(self, waves):
        x = waves[:, None]
        for layer in self.feature_extractor.conv_layers:
            x = F.gelu(layer.layer_norm(layer.conv(x).transpose(1, 2))).transpose(1, 2)
        x = self.feature_projection.projection(self.feature_projection.layer_norm(x.transpose(1, 2)))
        x = x + self.encoder.pos_conv_embed.conv(x)
        for layer in self.encoder.layers:
            x = layer(x)
        return self.encoder.layer_norm(x)


class DenseAV(nn.Module):
    def __init__(self, width: int, aligner_heads: int, frames: dict, sound: dict):
        super().__init__()
        inputs = sound["width"]
        self.image_model, self.audio_model = branch(model=Dino(**frames)), branch(model=Hubert(**sound))
        self.image_aligner = branch(norm=branch(norm=norm(frames["width"])), layer=nn.Conv2d(frames["width"], width, 1))
        shorten = lambda c: nn.Conv2d(c, width, (1, 3), (1, 3))
        parts = [nn.Identity(), branch(norm=norm(inputs)), branch(layer=shorten(inputs), cls_layer=nn.Linear(inputs, width))]
        parts += [branch(layer=shorten(width)), branch(block=Block(width, aligner_heads))]
        self.audio_aligner = branch(mod_list=nn.ModuleList(parts))
        self.audio_cls = nn.Parameter(torch.zeros(inputs))

    def encode_frames(self, frames):
        """-> [N,D,H/8,W/8]"""
        x = self.image_model.model(frames)
        return self.image_aligner.layer(self.image_aligner.norm.norm(x.movedim(1, -1)).movedim(-1, 1))

    def encode_sound(self, waves):
        """-> [B,D,T']"""
        _, first, pool1, pool2, last = self.audio_aligner.mod_list
        x = first.norm(self.audio_model.model(waves)).transpose(1, 2)[:, :, None]
        token = pool1.cls_layer(first.norm(self.audio_cls.expand(len(waves), -1)))
        x = pool2.layer(pool1.layer(x))[:, :, 0].transpose(1, 2)
        return last.block(torch.cat([token[:, None], x], 1))[:, 1:].transpose(1, 2)


def similarity(frames, sound, heads: int):
    """frames [N,D,H,W], sound [D,T] -> the maximum of the heads [N,H,W,T]"""
    products = torch.einsum("nkchw,kct->nkhwt", frames.unflatten(1, (heads, -1)), sound.unflatten(0, (heads, -1)))
    return products.amax(1)


def shown(maps, size):
    """Similarities as the demonstration shows them, [N,H,W] for every frame of a video, over all frames together."""
    weights = torch.exp(-torch.tensor([-2.0, 0, 2]).to(maps) ** 2 / 2)
    blurred = F.conv1d(
        F.pad(maps.flatten(0, 2)[:, None], (1, 1), mode="replicate"), (weights / weights.sum())[None, None]
    ).view(maps.shape)
    at = [int(f / len(maps) * maps.shape[-1]) for f in range(len(maps))]
    picked = torch.stack([blurred[f, :, :, t] for f, t in enumerate(at)])[:, None]
    large = F.interpolate(picked, size, mode="bicubic", align_corners=False)[:, 0].clamp(min=0)
    raised = large - large.min()
    return raised / raised.max()
