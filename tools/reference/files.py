"""Files in foreign formats and what is in them: torch files, sounds, pictures."""
import pickle
from collections import OrderedDict

import numpy as np
import torch
from PIL import Image

import log_mel
import seeded
from store import save


def torch_files(out):
    """The same tensors as `torch.save` writes them, and a pickled log-mel as AVSBench ships them."""
    folder = out / "torch"
    folder.mkdir(parents=True, exist_ok=True)
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {
        "w": base,
        "view": base[1:3, ::2],
        "transposed": base.t(),
        "half": base.half(),
        "bf16": base.bfloat16(),
        "double": base.double(),
        "ints": torch.arange(5),
        "bytes": torch.arange(4, dtype=torch.uint8),
        "flags": torch.tensor([True, False]),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(base * 2),
    }
    torch.save(OrderedDict(tensors), folder / "zip.pth")
    torch.save(OrderedDict(tensors), folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"model": OrderedDict(tensors), "epoch": 7, "lr": 6e-5}, folder / "nested.pth")
    x = torch.from_numpy(seeded.uniform("pkl", 5 * 96 * 64).reshape(5, 1, 96, 64)).requires_grad_(True)
    with open(folder / "log_mel.pkl", "wb") as f:
        pickle.dump(x, f)
    plain = lambda t: t.detach().float() if t.is_floating_point() else t.to(torch.int64)
    save(out / "torch_files.safetensors", {key: plain(t) for key, t in tensors.items()})


def tone(name, rate, seconds, channels=1):
    """Four sliding tones and some noise, [N] or [N,2]."""
    n = int(rate * seconds)
    s, u = np.arange(n) / rate, seeded.uniform(f"wav:{name}", 12).astype(np.float64)
    slide = lambda i: np.sin(2 * np.pi * (200 + 3000 * (u[i + 4] + 1)) * s * (1 + 0.05 * u[i + 8] * s))
    x = 0.4 * sum(0.12 * (1 + u[i]) * slide(i) for i in range(4)) + 0.02 * seeded.uniform(f"noise:{name}", n)
    return x if channels == 1 else np.stack([x, x[::-1] * 0.5], 1)


def audio(out):
    """Log-mel examples of WAV files at four sample rates."""
    results = {}
    for name, rate, seconds, channels in (
        ("mono16k_5s", 16000, 5, 1),
        ("stereo44k_1s", 44100, 1.3, 2),
        ("mono8k_5s", 8000, 5.1, 1),
        ("mono48k_1s", 48000, 1.3, 1),
    ):
        file = out / "audio" / f"{name}.wav"
        log_mel.write_wav(file, tone(name, rate, seconds, channels), rate)
        results[name] = log_mel.examples(file)
    save(out / "log_mel.safetensors", results, limit=8192)


def images(out):
    """What Pillow makes of pictures and masks: resized, cropped, decoded."""
    folder, side = out / "images", 224
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, (h, w) in (("wide", (240, 426)), ("tall", (360, 203)), ("small", (96, 128)), ("same", (side, side))):
        yy, xx = np.mgrid[0:h, 0:w]
        waves = np.stack([128 + 100 * np.sin(xx / 17 + i) * np.cos(yy / (11 + i)) for i in range(3)], -1)
        noise = (seeded.uniform(f"img:{name}", h * w * 3).reshape(h, w, 3).astype(np.float64) + 1) * 127.5 - 127.5
        image = Image.fromarray(np.clip(waves + noise * 0.15, 0, 255).astype(np.uint8))
        mask = Image.fromarray((np.sin(xx / 23) * np.cos(yy / 19) > 0.2).astype(np.uint8) * 255)
        image.save(folder / f"{name}.png")
        mask.save(folder / f"{name}_mask.png")
        results[f"{name}_bilinear"] = np.asarray(image.resize((side, side), Image.BILINEAR))
        results[f"{name}_mask_nearest"] = np.asarray(mask.resize((side, side), Image.NEAREST))
        # The shorter side to 224, then the center.
        width, height = (int(w * side / h), side) if w > h else (side, int(h * side / w))
        x, y = int(round((width - side) / 2)), int(round((height - side) / 2))
        square = (x, y, x + side, y + side)
        fit = lambda picture, filter: np.asarray(picture.resize((width, height), filter).crop(square))
        results[f"{name}_short_side_centre_crop"] = fit(image, Image.BILINEAR)
        results[f"{name}_mask_centre_crop"] = fit(mask, Image.NEAREST)
    Image.open(folder / "wide.png").save(folder / "wide.jpg", quality=92)
    results["wide_jpg"] = np.asarray(Image.open(folder / "wide.jpg"))
    save(out / "images.safetensors", results, limit=32768)
