"""The published losses with their gradients, and a short training run."""
import torch
from torch.nn import functional as F

from model import Model
from modules import gradients
from seeded import fill, input_, mask
from store import save


def dice(x, y):
    p, y = x.sigmoid().flatten(1), y.flatten(1)
    return (1 - 2 * (p * y).sum(-1) / ((p * p).sum(-1) + 0.001 + (y * y).sum(-1) + 0.001)).mean()


def focal(x, y, alpha=0.25, gamma=2):
    p, ce = x.sigmoid(), F.binary_cross_entropy_with_logits(x, y, reduction="none")
    weight = alpha * y + (1 - alpha) * (1 - y)
    return (weight * ce * (1 - (p * y + (1 - p) * (1 - y))) ** gamma).mean()


def losses(out):
    """S4 (first of five frames), MS3 (all frames) and AVSS (frames with the temporal flag): values, gradients by logits."""
    x = input_("loss_x", (10, 1, 16, 16), scale=4).requires_grad_()
    first, every = mask("loss_y1", (2, 1, 16, 16)), mask("loss_y5", (10, 1, 16, 16))
    every[3] = 0  # a frame in which nothing sounds
    z = input_("loss_z", (10, 7, 8, 8), scale=4).requires_grad_()
    classes = (input_("loss_c", (10, 8, 8)) * 3.5 + 3.5).long().clamp(0, 6)
    keep = torch.tensor([1.0] * 5 + [0.0] * 5, dtype=torch.float64)
    cases = {
        "s4_dice": (x, dice(x[::5], first)),
        "s4_focal": (x, focal(x[::5], first)),
        "ms3_dice": (x, dice(x, every)),
        "ms3_bce": (x, F.binary_cross_entropy(x.sigmoid(), every)),
        "avss_ce": (z, (F.cross_entropy(z, classes, reduction="none").mean((-1, -2)) * keep).sum() / keep.sum()),
    }
    results = {"logits": x, "mask_first": first, "mask_all": every, "class_logits": z, "classes": classes, "keep": keep}
    for name, (logits, loss) in cases.items():
        (gradient,) = torch.autograd.grad(loss, logits)
        results |= {name: loss.reshape(1), f"grad_{name}": gradient}
    save(out / "losses.safetensors", results, limit=8192)


def training(out):
    """30 steps of AdamW on one clip without dropout: loss = dice + binary cross-entropy, learning rate 1e-3."""
    model = fill(Model("micro", conv_dim=32, audio=False))
    embeddings, frames = input_("train_audio", (5, 128)), input_("train_frames", (5, 3, 64, 64), scale=2)
    y = mask("train_masks", (5, 1, 64, 64))
    trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    results, curve = {}, []
    for step in range(30):
        logits = model(embeddings, frames)
        loss = dice(logits, y) + F.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            results |= {"logits": logits} | {key: g.clone() for key, g in gradients(model).items()}
        curve.append(loss.item())
        optimizer.step()
    results |= {"loss_curve": torch.tensor(curve, dtype=torch.float64), "logits_after": model(embeddings, frames)}
    results |= {f"after:{key}": p for key, p in trained.items()}
    save(out / "training_micro.safetensors", results, limit=1024)
