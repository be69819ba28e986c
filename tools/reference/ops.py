"""
Values and gradients of the engine's ops, by PyTorch in float64.

ops.json: a case of src/graph/ops.test.ts by name, with its inputs, its output `y`, the gradient `seed` that flows into
the output, and the `gradients` of `wrt` (null for an input without one). resize.json: for `n` and `to` pixels, which of
the `n` pixels PyTorch takes for each of the `to`.
"""
import json

import numpy as np
import torch
from torch.nn import functional as F

from seeded import uniform

CASES = {}
DTYPES = {torch.float64: "f32", torch.int32: "i32", torch.int64: "i64", torch.bool: "bool"}


def drawn(*shape, low=-1.0, high=1.0):
    """Numbers of three decimals in [low, high], the same at every run: how a case asks for many values."""
    return {"shape": shape, "low": low, "high": high}


def floats(values):
    """float32 numbers in double precision."""
    return torch.tensor(np.asarray(values, np.float32).astype(np.float64))


def made(name, index, spec):
    if torch.is_tensor(spec):
        return spec
    if not isinstance(spec, dict):
        return floats(spec)
    u = uniform(f"{name}:{index}", int(np.prod(spec["shape"]))).astype(np.float64)
    values = spec["low"] + (spec["high"] - spec["low"]) * (u + 1) / 2
    return floats(np.round(values, 3).reshape(spec["shape"]))


def case(name, f, *inputs, wrt=None):
    """Adds a case: f of the inputs, and gradients with respect to the float inputs (or to those in `wrt`)."""
    xs = [made(name, i, spec) for i, spec in enumerate(inputs)]
    if wrt is None:
        wrt = [i for i, x in enumerate(xs) if x.dtype == torch.float64]
    leaves = [x.clone().requires_grad_(i in wrt) for i, x in enumerate(xs)]
    y = f(*leaves)
    entry = {"inputs": [stored(x) for x in xs], "y": stored(y)}
    if wrt:
        seed = made(name, "seed", drawn(*y.shape))
        (y * seed).sum().backward()
        entry["seed"] = numbers(seed)
        entry["gradients"] = [numbers(x.grad) if i in wrt else None for i, x in enumerate(leaves)]
    assert name not in CASES, name
    CASES[name] = entry


def numbers(t):
    """The elements, each with the digits that its float32 value needs."""
    shortest = lambda v: int(v) if float(v).is_integer() else float(str(np.float32(v)))
    return [shortest(v) for v in t.detach().flatten().tolist()]


def stored(t):
    return {"dtype": DTYPES[t.dtype], "shape": list(t.shape), "data": numbers(t)}


def elementwise():
    some = drawn(3, 5)
    positive = drawn(3, 5, low=0.5, high=2)
    for name, f, x in (
        ("Neg", torch.neg, some),
        ("Exp", torch.exp, some),
        ("Log", torch.log, positive),
        ("Sqrt", torch.sqrt, positive),
        ("Abs", torch.abs, some),
        ("Floor", torch.floor, drawn(3, 5, low=-3, high=3)),
        ("Erf", torch.erf, drawn(3, 5, low=-2, high=2)),
        ("Tanh", torch.tanh, drawn(3, 5, low=-2, high=2)),
        ("Sigmoid", torch.sigmoid, drawn(3, 5, low=-4, high=4)),
        ("Softplus", F.softplus, drawn(3, 5, low=-4, high=4)),
        ("Mul: SiLU", F.silu, drawn(3, 5, low=-4, high=4)),
        ("Relu", torch.relu, some),
        ("Gelu", F.gelu, drawn(3, 5, low=-4, high=4)),
    ):
        case(name, f, x)
    case("Sigmoid: far from zero", torch.sigmoid, [-200, -20, 20, 200], wrt=[])
    case("Softplus: far from zero", F.softplus, [-200, -20, 20, 200], wrt=[])
    case("Add: broadcast", torch.add, drawn(2, 3, 4), drawn(3, 1))
    case("Sub: broadcast", torch.sub, drawn(3, 1), drawn(2, 3, 4))
    case("Mul: broadcast", torch.mul, drawn(2, 3, 4), drawn(4))
    case("Div: broadcast", torch.div, drawn(2, 3, low=0.5, high=2), drawn(2, 1, low=0.5, high=2))
    case("Max", torch.maximum, drawn(3, 4), drawn(3, 4))
    case("Min: broadcast", torch.minimum, drawn(3, 4), drawn(4))
    condition = torch.tensor([[True, False, True], [False, False, True]])
    case("Where: broadcast", torch.where, condition, drawn(3), drawn(2, 1))
    case("Clip", lambda x: torch.clamp(x, -1, 1), drawn(4, 5, low=-2, high=2))


def layout():
    case("Reshape", lambda x: x.reshape(3, -1), drawn(2, 6))
    case("Transpose", lambda x: x.permute(2, 0, 1), drawn(2, 3, 4))
    case("Expand", lambda x: x.expand(2, 3, 4), drawn(3, 1))
    case("Slice: steps forwards and backwards", lambda x: x.flip(1)[1:7:3, 0:6:2], drawn(7, 6))
    case("Pad: one side cropped", lambda x: F.pad(x, (2, -1, 1, 2)), drawn(2, 3))
    case("Concat", lambda *xs: torch.cat(xs, 1), drawn(2, 3), drawn(2, 1), drawn(2, 2))


def reductions():
    case("ReduceSum", lambda x: x.sum((0, 2)), drawn(2, 3, 4))
    case("ReduceMean: axis kept", lambda x: x.mean(-1, keepdim=True), drawn(2, 3, 4))
    case("ReduceMax", lambda x: x.amax((1, 2)), drawn(2, 3, 4))


def products():
    case("MatMul: broadcast", torch.matmul, drawn(2, 3, 4), drawn(4, 5))
    case("MatMul: first transposed", lambda a, b: a.mT @ b, drawn(2, 4, 3), drawn(2, 4, 5))
    case("MatMul: second transposed", lambda a, b: a @ b.mT, drawn(2, 3, 4), drawn(5, 4))
    case("MatMul: both transposed, scaled", lambda a, b: 0.5 * (a.mT @ b.mT), drawn(4, 3), drawn(2, 5, 4))
    case("Gemm: with bias", F.linear, drawn(2, 3, 4), drawn(5, 4), drawn(5))
    case("Gemm: without bias", F.linear, drawn(3, 4), drawn(5, 4))


def norms():
    case("Softmax", lambda x: x.softmax(1), drawn(2, 3, 4, low=-3, high=3))
    case("Softmax: large values", lambda x: x.softmax(-1), [[1000, 1001, 998], [-1000, 0, -1001]], wrt=[])
    case("LogSoftmax", lambda x: x.log_softmax(1), drawn(2, 3, 4, low=-3, high=3))
    case("LogSoftmax: large values", lambda x: x.log_softmax(-1), [[1000, 1001, 0], [-1000, 0, 20]], wrt=[])
    case(
        "LayerNormalization",
        lambda x, w, b: F.layer_norm(x, (8,), w, b, 1e-5),
        drawn(2, 3, 8),
        drawn(8, low=0.5, high=1.5),
        drawn(8),
    )
    # The variance of these rows is about as large as epsilon.
    case(
        "LayerNormalization: large epsilon",
        lambda x, w, b: F.layer_norm(x, (4,), w, b, 0.3),
        drawn(3, 4),
        drawn(4),
        drawn(4),
    )
    case(
        "GroupNormalization",
        lambda x, w, b: F.group_norm(x, 3, w, b, 0.01),
        drawn(2, 6, 3, 4),
        drawn(6, low=0.5, high=1.5),
        drawn(6),
    )


def convolutions():
    def conv(name, x, w, b=None, **options):
        bias = [] if b is None else [b]
        case(f"Conv: {name}", lambda x, w, b=None: F.conv2d(x, w, b, **options), x, w, *bias)

    conv("padded", drawn(2, 3, 6, 5), drawn(4, 3, 3, 3), padding=1)
    conv("stride 2, with bias", drawn(2, 3, 7, 8), drawn(4, 3, 3, 3), drawn(4), stride=2, padding=1)
    conv("depthwise", drawn(2, 4, 5, 5), drawn(4, 1, 3, 3), padding=1, groups=4)
    conv("depthwise, stride 2", drawn(2, 4, 6, 5), drawn(4, 1, 3, 3), stride=2, padding=1, groups=4)
    conv("two groups, stride 2", drawn(1, 4, 5, 5), drawn(6, 2, 3, 3), stride=2, groups=2)
    conv("large kernel, stride 4", drawn(1, 2, 9, 9), drawn(3, 2, 7, 7), stride=4, padding=3)
    conv("dilated, two groups", drawn(2, 4, 7, 6), drawn(6, 2, 3, 3), padding=2, dilation=2, groups=2)
    conv("dilated beyond the map, with bias", drawn(1, 2, 4, 5), drawn(3, 2, 3, 3), drawn(3), padding=6, dilation=6)
    conv("dilated, stride 2", drawn(1, 2, 9, 8), drawn(3, 2, 3, 3), stride=2, padding=1, dilation=3)
    conv("kernel of unequal sides", drawn(1, 2, 5, 6), drawn(3, 2, 1, 3), drawn(3))
    for name, w, options in (
        ("stride 2, two groups", drawn(6, 2, 5), {"padding": (3, 1), "stride": 2, "groups": 2}),
        ("depthwise, causal", drawn(4, 1, 4), {"padding": (3, 0), "groups": 4}),
    ):
        padding = options.pop("padding")
        f = lambda x, w, b, padding=padding, options=options: F.conv1d(F.pad(x, padding), w, b, **options)
        case(f"Conv: one axis, {name}", f, drawn(2, 4, 7), w, drawn(w["shape"][0]))
    case(
        "ConvTranspose",
        lambda g, w: F.conv_transpose2d(g, w, stride=2, padding=1, output_padding=(1, 0)),
        drawn(2, 4, 3, 4),
        drawn(4, 3, 3, 3),
    )


def pools():
    case("MaxPool", lambda x: F.max_pool2d(x, 2), drawn(2, 2, 4, 6))
    # All below zero: padding must not win. No two are close, so that the maxima are the same on both sides of a difference.
    order = np.argsort(uniform("MaxPool", 98)).reshape(1, 2, 7, 7)
    case("MaxPool: padded", lambda x: F.max_pool2d(x, 3, 2, 1), -1 - order / 50)


def gathers():
    rows = torch.tensor([[3, 0, 3], [2, 1, 3]], dtype=torch.int32)
    case("Gather", lambda x, i: x[i.long()], drawn(4, 3), rows)
    weighted = lambda x, i, w: (x[i.long()] * w[..., None]).sum(1)
    case("WeightedRows", weighted, drawn(4, 3), rows, drawn(2, 3))
    elements = torch.tensor([5, 0, 5, 2])
    case("GatherElements", lambda x, i: x[i], drawn(6), elements)
    case(
        "ScatterElements",
        lambda x, i: torch.zeros(6, dtype=torch.float64).index_add(0, i, x).reshape(2, 3),
        drawn(4),
        elements,
    )


def resizes():
    modes = {"nearest": ("nearest", None), "bilinear": ("bilinear", False), "bilinear-corners": ("bilinear", True)}
    for name, (mode, corners) in modes.items():
        for size in ((8, 12), (3, 2), (7, 5), (1, 1)):
            # Which pixel is the nearest one is decided in single precision, as in the models.
            if mode == "nearest":
                f = lambda x: F.interpolate(x.float(), size, mode=mode).double()
            else:
                f = lambda x: F.interpolate(x, size, mode=mode, align_corners=corners)
            case(f"Resize: {name} to {size[0]}x{size[1]}", f, drawn(2, 2, 4, 6))
    for size in ((8, 13), (3, 5)):
        f = lambda x, size=size: F.interpolate(x, size, mode="bicubic", align_corners=False)
        case(f"MatMul: bicubic resize to {size[0]}x{size[1]}", f, drawn(2, 2, 4, 6))


def nearest(largest):
    """Which pixels a row of `n` pixels is resized to, for every pair of sizes up to `largest`."""
    row = lambda n: torch.arange(n, dtype=torch.float32).reshape(1, 1, 1, n)
    resized = lambda n, to: F.interpolate(row(n), (1, to), mode="nearest").flatten().int().tolist()
    return [[resized(n, to) for to in range(1, largest + 1)] for n in range(1, largest + 1)]


def ops(out):
    """ops.json: every case of src/graph/ops.test.ts with its inputs, values and gradients."""
    for part in (elementwise, layout, reductions, products, norms, convolutions, pools, gathers, resizes):
        part()
    lines = [f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}" for name, entry in CASES.items()]
    (out / "ops.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def resizing(out):
    """resize.json: the pixels of rows resized by nearest, for src/graph/resize.test.ts."""
    rows = [json.dumps(sizes, separators=(",", ":")) for sizes in nearest(36)]
    (out / "resize.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
