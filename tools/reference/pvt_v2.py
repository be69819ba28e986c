"""PVTv2 (Wang et al. 2022) without dropout and drop path, with the keys of the published checkpoints."""
import torch
from torch import nn
from torch.nn import functional as F


class PatchEmbed(nn.Module):
    def __init__(self, inputs: int, outputs: int, first: bool):
        super().__init__()
        kernel = 7 if first else 3
        self.proj = nn.Conv2d(inputs, outputs, kernel, 4 if first else 2, kernel // 2)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x):
        x = self.proj(x)
        height, width = x.shape[2:]
        return self.norm(x.flatten(2).transpose(1, 2)), height, width


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int, reduction: int):
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        if reduction > 1:
            self.sr = nn.Conv2d(dim, dim, reduction, reduction)
            self.norm = nn.LayerNorm(dim)

    def forward(self, x, height, width):
        batch, count, dim = x.shape
        source = x
        if self.reduction > 1:
            grid = self.sr(x.transpose(1, 2).reshape(batch, dim, height, width))
            source = self.norm(grid.flatten(2).transpose(1, 2))
        split = lambda t: t.reshape(batch, -1, self.heads, dim // self.heads).transpose(1, 2)
        keys, values = self.kv(source).chunk(2, -1)
        q, k, v = split(self.q(x)), split(keys), split(values)
        weights = (q @ k.transpose(-2, -1) * (dim // self.heads) ** -0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, count, dim))


class DWConv(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 3, 1, 1, groups=dim)

    def forward(self, x, height, width):
        batch, _, dim = x.shape
        return self.dwconv(x.transpose(1, 2).reshape(batch, dim, height, width)).flatten(2).transpose(1, 2)


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = DWConv(hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x, height, width):
        return self.fc2(F.gelu(self.dwconv(self.fc1(x), height, width)))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, ratio: int, reduction: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads, reduction)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, dim * ratio)

    def forward(self, x, height, width):
        x = x + self.attn(self.norm1(x), height, width)
        return x + self.mlp(self.norm2(x), height, width)


class PVTv2(nn.Module):
    """Frames [N,3,H,W] -> four maps at 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self, dims, depths, heads=(1, 2, 5, 8), ratios=(4, 4, 4, 4), reductions=(8, 4, 2, 1)):
        super().__init__()
        self.channels = dims
        for i, dim in enumerate(dims):
            setattr(self, f"patch_embed{i + 1}", PatchEmbed(dims[i - 1] if i else 3, dim, i == 0))
            blocks = [Block(dim, heads[i], ratios[i], reductions[i]) for _ in range(depths[i])]
            setattr(self, f"block{i + 1}", nn.ModuleList(blocks))
            setattr(self, f"norm{i + 1}", nn.LayerNorm(dim, eps=1e-6))

    def stem(self, x):
        """What comes before the first stage: nothing."""
        return x

    def stage(self, i, x):
        """Stage i = 0..3 on a map: its tokens [N,HW,C], H and W."""
        x, height, width = getattr(self, f"patch_embed{i + 1}")(x)
        for block in getattr(self, f"block{i + 1}"):
            x = block(x, height, width)
        return getattr(self, f"norm{i + 1}")(x), height, width

    def forward(self, x):
        maps = []
        for i in range(4):
            tokens, height, width = self.stage(i, x)
            x = tokens.transpose(1, 2).reshape(tokens.shape[0], -1, height, width)
            maps.append(x)
        return maps
