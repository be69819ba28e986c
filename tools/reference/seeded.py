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
    """The value of the parameter or buffer `key`: a float32 number in double precision."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    u = torch.from_numpy(uniform(key, int(np.prod(shape)))).reshape(shape).double()
    if key.endswith("running_var"):
        value = 1 + 0.5 * u
    elif len(shape) >= 2:
        value = u * np.sqrt(3 / np.prod(shape[1:]))
    elif key.endswith(("bias", "running_mean")):
        value = 0.1 * u
    else:
        value = 1 + 0.1 * u
    return value.float().double()


def input_(name: str, shape: tuple[int, ...], scale: float = 1) -> torch.Tensor:
    """The input `name`, times `scale`."""
    u = uniform(f"input:{name}", int(np.prod(shape)))
    return torch.from_numpy(u).reshape(shape).double() * scale


def mask(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A mask of zeros and ones: where the input `name` is above 0.3."""
    return (input_(name, shape) > 0.3).double()


def fill(module: torch.nn.Module) -> torch.nn.Module:
    """Gives every parameter and buffer of a module its value, in double precision."""
    module.double()
    with torch.no_grad():
        for key, tensor in module.state_dict().items():
            tensor.copy_(parameter(key, tuple(tensor.shape)))
    return module
