"""Writes the reference data of the tests: python tools/reference/generate.py [--out FOLDER] [PART ...] (README.md)."""
import argparse
from pathlib import Path

import aisfx
import files
import losses
import metrics
import minibench
import modules
import ops
import unfrozen

PARTS = {
    part.__name__: part
    for part in (
        aisfx.aisfx,
        modules.manifests,
        modules.encoders,
        modules.messengers,
        modules.decoders,
        modules.models,
        losses.losses,
        losses.training,
        metrics.metrics,
        files.torch_files,
        files.audio,
        files.images,
        minibench.minibench,
        unfrozen.unfrozen_encoders,
        unfrozen.decoder_positions,
        ops.ops,
        ops.resizing,
    )
}

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"default: all of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=root / "test" / "reference")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; expected some of {', '.join(PARTS)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.parts or PARTS:
        PARTS[name](args.out)
        print(name, flush=True)
