"""Weights and inputs that are functions of their names, as `seededParameter` and `seededInput` in test/support.ts."""
import numpy as np
import torch


def uniform(name: str, size: int) -> np.ndarray:
    """Uniform in [-1, 1): FNV-1a of the name, an index, and the finalizer of MurmurHash3."""
    h0 = 0x811C9DC5
    for byte in name.encode():
        h0 = ((h0 ^ byte) * 0x01000193) & 0xFFFFFFFF
    h = (np.uint64(h0) + np.arange(size, dtype=np.uint64) * np.uint64(0x9E3779B1)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h ^= h >> np.uint64(shift)
        h = (h * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(16)
    return (h.astype(np.float64) / 2**31 - 1).astype(np.float32)


def parameter(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The value of the parameter or buffer `key`."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    u = torch.from_numpy(uniform(key, int(np.prod(shape)))).reshape(shape).double()
    if key.endswith("running_var"):
        return 1 + 0.5 * u
    if len(shape) >= 2:
        return u * np.sqrt(3 / np.prod(shape[1:]))
    if key.endswith(("bias", "running_mean")):
        return 0.1 * u
    return 1 + 0.1 * u


def input_(name: str, shape: tuple[int, ...], scale: float = 1) -> torch.Tensor:
    """The input `name`, times `scale`."""
    u = uniform(f"input:{name}", int(np.prod(shape)))
    return torch.from_numpy(u).reshape(shape).double() * scale


def fill(module: torch.nn.Module) -> torch.nn.Module:
    """Gives every parameter and buffer of a module its value, in double precision."""
    module.double()
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            tensor.copy_(parameter(key, tuple(tensor.shape)))
    return module
