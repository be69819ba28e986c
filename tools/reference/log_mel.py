"""Log-mel examples as the published audio encoder takes them, in float64.

16 kHz mono, windows of 25 ms (periodic Hann) every 10 ms, 512-point FFT magnitude, 64 mel bands (HTK scale) of
125-7500 Hz, log(mel + 0.01), examples of 96 frames without overlap. Other sample rates pass through resampy.
"""
import wave

import numpy as np
import resampy

RATE = 16000


def read_wav(path):
    """Samples [N, channels] in [-1, 1) and the sample rate of a 16-bit file."""
    with wave.open(str(path)) as w:
        samples = np.frombuffer(w.readframes(w.getnframes()), "<i2")
        return samples.reshape(-1, w.getnchannels()) / 32768.0, w.getframerate()


def write_wav(path, x, rate):
    """Writes samples [N] or [N, channels] in [-1, 1] as a 16-bit file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1 if x.ndim == 1 else x.shape[1])
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(np.clip(np.round(x * 32767), -32768, 32767).astype("<i2").tobytes())


def windows(x, length, hop):
    count = 1 + (len(x) - length) // hop
    return np.stack([x[i * hop : i * hop + length] for i in range(count)])


def mel_matrix(bins=257, bands=64, low=125.0, high=7500.0):
    """Weights [bins, bands] of triangular filters; the bin at 0 Hz has none."""
    mel = lambda hertz: 1127.0 * np.log(1 + hertz / 700.0)
    at, edges = mel(np.linspace(0, RATE / 2, bins)), np.linspace(mel(low), mel(high), bands + 2)
    filters = [
        np.maximum(0, np.minimum((at - a) / (b - a), (c - at) / (c - b)))
        for a, b, c in zip(edges, edges[1:], edges[2:])
    ]
    matrix = np.stack(filters, 1)
    matrix[0] = 0
    return matrix


def examples(path):
    """Examples [N, 1, 96, 64] (float32) of a WAV file."""
    x, rate = read_wav(path)
    x = x.mean(1)
    if rate != RATE:
        x = resampy.resample(x, rate, RATE)  # kaiser_best
    hann = 0.5 - 0.5 * np.cos(2 * np.pi / 400 * np.arange(400))
    spectrum = np.abs(np.fft.rfft(windows(x, 400, 160) * hann, 512))
    return windows(np.log(spectrum @ mel_matrix() + 0.01), 96, 96)[:, None].astype(np.float32)
