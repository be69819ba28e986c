"""References of training: gradients of unfrozen encoders, and the decoder with position encodings."""
import torch
from torch import nn
from torch.nn import functional as F

from encoders import Vggish, stages
from model import Decoder, SpatialAttention
from modules import gradients
from pvt_v2 import PVTv2
from seeded import fill, input_
from store import save


class Adapted(nn.Linear):
    """A linear map with a low-rank addition B A / rank (Hu et al. 2021) to its last outputs."""

    def __init__(self, inputs, outputs, rank):
        super().__init__(inputs, outputs)
        self.lora_A = nn.Parameter(torch.empty(rank, inputs))
        self.lora_B = nn.Parameter(torch.empty(inputs, rank))

    def forward(self, x):
        added = x @ self.lora_A.T @ self.lora_B.T / self.lora_A.shape[0]
        return super().forward(x) + F.pad(added, (self.out_features - added.shape[-1], 0))


def unfrozen_encoders(out):
    """Gradients of all parameters of small encoders in training mode, for given gradients of their outputs."""
    frames = input_("frames", (2, 3, 64, 64), scale=2)
    for name, rank in (("pvt", 0), ("pvt_adapters", 4)):
        model = PVTv2(dims=(16, 32, 40, 64), depths=(1, 1, 1, 1), ratios=(8, 8, 4, 4))
        for i, c in enumerate(model.channels if rank else ()):
            attention = getattr(model, f"block{i + 1}")[0].attn
            attention.q, attention.kv = Adapted(c, c, rank), Adapted(c, 2 * c, rank)
        differentiate(out / f"unfrozen_{name}.safetensors", fill(model), list(stages(model, frames).values()))
    model = fill(Vggish(widths=(4, 4, 8, 8, 8, 8), hidden=16))
    differentiate(out / "unfrozen_vggish.safetensors", model, [model(input_("mel", (2, 1, 96, 64), scale=3))])
    model = fill(nn.BatchNorm2d(4)).train()
    y = torch.tanh(model(input_("map", (3, 4, 5, 6), scale=2)))
    differentiate(out / "unfrozen_batch_norm.safetensors", model, [y])


def differentiate(file, model, outputs):
    sum((y * input_(f"seed{i}", y.shape)).sum() for i, y in enumerate(outputs)).backward()
    save(file, gradients(model), limit=256)


class PositionedAttention(SpatialAttention):
    """Spatial attention of x + positions over x + positions: what is attended to, but not what is added to."""

    def forward(self, x):
        attending = x + sine_positions(x.shape)
        reduced = attending
        if self.scale > 1:
            size = (x.shape[2] // self.scale, x.shape[3] // self.scale)
            reduced = F.interpolate(attending, size=size, mode="nearest")
        tokens = lambda map: map.flatten(2).transpose(1, 2)
        k, v = self.kv_proj(tokens(reduced)).chunk(2, -1)
        return self.norm(tokens(x) + self.self_attn(tokens(attending), k, v)[0])


def sine_positions(shape):
    """Sines and cosines of the row (first half of the channels) and of the column, counted from 1 (Carion et al. 2020)."""
    _, channels, height, width = shape
    half = channels // 2
    frequency = 10000.0 ** (-2 * torch.div(torch.arange(half), 2, rounding_mode="floor").double() / half)

    def encode(n):
        angle = torch.arange(1, n + 1).double()[:, None] * frequency
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), -1).flatten(1)  # [n,half]

    rows = encode(height).T[:, :, None].expand(half, height, width)
    columns = encode(width).T[:, None, :].expand(half, height, width)
    return torch.cat((rows, columns))


def decoder_positions(out):
    """Logits of a decoder that adds positions to what attends."""
    channels, sizes = (16, 16, 16, 16), (16, 8, 4, 2)
    model = Decoder(channels, conv_dim=16)
    for i, (scale, c) in enumerate(zip((8, 4, 2, 1), channels)):
        getattr(model, f"fusion_block_{i}").spatial_attn = PositionedAttention(scale, c, 8)
    fill(model)
    audios = [input_(f"audio{i}", (1, 1, c)) for i, c in enumerate(channels)]
    visuals = [input_(f"v{i}", (1, s * s, c)).transpose(1, 2).reshape(1, c, s, s) for i, (c, s) in enumerate(zip(channels, sizes))]
    with torch.no_grad():
        save(out / "decoder_positions.safetensors", {"logits": model(audios, visuals)})
