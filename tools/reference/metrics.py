"""The metrics of the published evaluation."""
import torch

from seeded import input_, mask
from store import save


def miou(x, y, eps=1e-7):
    """Logits and masks [N,H,W]: mean IoU of the frames; where the mask is empty, that of the background over all pixels."""
    p, pixels = (x.sigmoid() > 0.5).double(), x[0].numel()
    intersection, union = (p * y).sum((1, 2)), torch.maximum(p, y).sum((1, 2))
    empty = y.sum((1, 2)) == 0
    intersection[empty] = ((1 - y) * (1 - p)).sum((1, 2))[empty]
    union[empty] = pixels
    return (intersection / (union + eps)).sum() / len(x)


def fscore(x, y, thresholds=255, beta2=0.3):
    """The largest F-score over all thresholds, averaged over the frames whose mask is not empty."""
    x, total, count = x.sigmoid(), 0, 0
    at = torch.linspace(0, 1 - 1e-10, thresholds).view(-1, 1, 1).float()
    for p, g in zip(x.float(), y.float()):
        if g.mean() == 0:
            continue
        hit = p[None] >= at
        true = (hit * g).sum((1, 2))
        precision, recall = true / (hit.float().sum((1, 2)) + 1e-20), true / (g.sum() + 1e-20)
        f = (1 + beta2) * precision * recall / (beta2 * precision + recall)
        f[f != f] = 0
        total, count = total + f, count + 1
    return (total / count).max() if count else torch.zeros(())


def semantic(x, y, classes):
    """Logits [N,classes,H,W] and classes [N,H,W]: sums of IoU and F-score by class, and the frames that have the class."""
    iou, fscores, count = (torch.zeros(classes) for _ in range(3))
    histogram = lambda q: torch.bincount(q.flatten(), minlength=classes).float()
    for p, g in zip(x.softmax(1).argmax(1), y):
        true, predicted, actual = histogram(p[p == g]), histogram(p), histogram(g)
        union = predicted + actual - true
        iou += true / (2.220446049250313e-16 + union)
        count[union > 0] += 1
        precision, recall = true / predicted, true / actual
        f = 1.3 * precision * recall / (0.3 * precision + recall)
        f[f != f] = 0
        fscores += f
    return iou, fscores, count


def class_means(sums, count):
    """Means by class; a class that no frame has counts as 0."""
    return torch.nan_to_num(sums / count, nan=0.0)


def metrics(out):
    """Frames of all kinds: mixed, empty with and without a false alarm, full, and perfect."""
    x, y = input_("metric_x", (20, 32, 32), scale=5), mask("metric_y", (20, 32, 32))
    y[4], y[5], y[6] = 0, 0, 1
    x[5] = -x[5].abs()
    x[7] = (y[7] * 2 - 1) * 3
    x = x.float()
    batches = [slice(i, i + 4) for i in range(0, 20, 4)]
    results = {
        "logits": x,
        "masks": y,
        "miou": miou(x.double(), y).reshape(1),
        "fscore": fscore(x, y).reshape(1),
        "miou_per_batch_of_4": torch.stack([miou(x[b].double(), y[b]) for b in batches]),
        "fscore_per_batch_of_4": torch.stack([fscore(x[b], y[b]) for b in batches]),
    }
    z = input_("metric_z", (20, 6, 16, 16), scale=4).float()
    c = (input_("metric_c", (20, 16, 16)) * 2.5 + 2.5).long().clamp(0, 4)  # class 5 occurs in no mask
    iou, fscores, count = semantic(z, c, 6)
    iou_means, fscore_means = class_means(iou, count), class_means(fscores, count)
    results |= {
        "class_logits": z,
        "classes": c,
        "iou_sum": iou,
        "fscore_sum": fscores,
        "count": count,
        "avss_miou": iou_means.mean().reshape(1),
        "avss_miou_published_no_background": iou_means[:-1].mean().reshape(1),
        "avss_fscore": fscore_means.mean().reshape(1),
        "avss_miou_without_class_0": iou_means[1:].mean().reshape(1),
    }
    save(out / "metrics.safetensors", results, limit=1 << 20)
