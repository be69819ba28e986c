"""Writes reference tensors as safetensors files, large ones sampled."""
import json
import math
import struct
from pathlib import Path

import numpy as np
import torch

DTYPES = {"float32": "F32", "int64": "I64", "uint8": "U8", "int32": "I32"}


def stride_of(shape, limit):
    """1, or the smallest prime that leaves at most `limit` elements and divides no axis, so that it visits all rows and columns."""
    size = math.prod(shape)
    if size <= limit:
        return 1
    stride = math.ceil(size / limit)
    while any(stride % d == 0 for d in range(2, math.isqrt(stride) + 1)) or any(n % stride == 0 for n in shape):
        stride += 1
    return stride


def save(file, tensors, metadata=None, limit=2048):
    """Writes `tensors` (floats as float32) to `file`.

    Of a tensor with more than `limit` elements only every k-th of the flat, row-major tensor is stored, from element 0.
    The metadata entry `sampled` (JSON) holds its shape, k as `stride` and the largest absolute value of all elements.
    """
    header, sampled, blobs, offset = {}, {}, [], 0
    for key, t in tensors.items():
        array = t.detach().numpy() if torch.is_tensor(t) else np.asarray(t)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        stride = stride_of(array.shape, limit)
        if stride > 1:
            largest = float(np.abs(array.astype(np.float64)).max())
            sampled[key] = {"shape": list(array.shape), "stride": stride, "largest": largest}
            array = array.reshape(-1)[::stride]
        array = np.ascontiguousarray(array)
        header[key] = {
            "dtype": DTYPES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        blobs.append(array.tobytes())
        offset += array.nbytes
    text = {key: str(value) for key, value in (metadata or {}).items()}
    if sampled:
        text["sampled"] = json.dumps(sampled)
    if text:
        header["__metadata__"] = text
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(blobs))
