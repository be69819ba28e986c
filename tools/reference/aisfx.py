"""
aiSFX, an embedding of sound effects (Wyse et al. 2022), in PyTorch with the parameter names of its checkpoint, and its
spectrogram in NumPy, as librosa computes it: 44.1 kHz mono divided by its peak, a periodic Hann window of 2048 samples
centered at every 1024th, power, 96 HTK mel bands of 0-22050 Hz whose weights add up to 1, log10(10000 x + 1) / 9.4578.
"""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from seeded import fill, input_
from store import save

RATE, WINDOW, HOP, BANDS, BLOCK, LARGEST = 44100, 2048, 1024, 96, 100, 9.457798957824707


def mel_filters():
    """Weights [1025, 96]."""
    mel = lambda hertz: 2595.0 * np.log10(1 + hertz / 700.0)
    hertz = lambda m: 700.0 * (10 ** (m / 2595.0) - 1)
    at = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    edges = hertz(np.linspace(mel(0), mel(RATE / 2), BANDS + 2))
    rise = (at[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - at[:, None]) / np.diff(edges)[1:]
    weights = np.maximum(0, np.minimum(rise, fall))
    return weights / weights.sum(0)


def spectrogram(x):
    """Samples [S] -> [1 + S // 1024, 96]."""
    x = x / (np.abs(x).max() or 1)
    padded = np.pad(x, WINDOW // 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    frames = np.stack([padded[i * HOP : i * HOP + WINDOW] * window for i in range(1 + len(x) // HOP)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    return np.log10(1e4 * (power @ mel_filters()) + 1) / LARGEST


class ConvBlock(nn.Module):
    def __init__(self, c_in, c, pool):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c_in, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.pool = pool

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.max_pool2d(x, self.pool)


class Aisfx(nn.Module):
    """Spectrograms [N, F, 96] -> embeddings of blocks [N, 512], or with `seconds` those of the blocks around each second."""

    def __init__(self):
        super().__init__()
        for i, (c_in, c) in enumerate(((1, 64), (64, 128), (128, 256), (256, 512)), 1):
            self.add_module(f"conv_block{i}", ConvBlock(c_in, c, 2 if i < 4 else 1))

    def forward(self, x, seconds=None):
        x = x[:, None]
        for i in range(1, 5):
            x = getattr(self, f"conv_block{i}")(x)
        x = x.mean(3)  # [N, 512, F // 8]
        if seconds is None:
            return x.amax(2)
        frame = HOP / RATE
        middles = (8 * torch.arange(x.shape[2]) + 3.5) * frame
        near = [(middles - (s + 0.5)).abs() <= BLOCK / 2 * frame for s in range(seconds)]
        return torch.cat([x[:, :, columns].amax(2) for columns in near])


def aisfx(out):
    """The spectrogram of a sound with quiet and loud parts, and the embeddings of blocks of noise and of five seconds of it."""
    t = np.arange(2 * RATE) / RATE
    noise = input_("aisfx_noise", (len(t),)).numpy()
    sound = 0.4 * np.sin(2 * np.pi * 440 * t * (1 + t)) + 0.1 * noise * (t > 1) + 1e-4 * noise
    sound = sound.astype(np.float32)
    with torch.no_grad():
        blocks = 0.5 + 0.5 * input_("aisfx", (2, BLOCK, BANDS))
        clip = 0.5 + 0.5 * input_("aisfx_clip", (1, 1 + 5 * RATE // HOP, BANDS))
        encoder = fill(Aisfx()).eval()
        results = {"embedding": encoder(blocks), "seconds": encoder(clip, seconds=5)}
        results["spectrogram"] = spectrogram(sound.astype(np.float64))
    save(out / "aisfx.safetensors", {"sound": sound, **results}, limit=200_000)
