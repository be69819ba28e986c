"""
Thins the reference numbers of other published systems, which their own code made with seeded weights, to what the tests
keep: a few cases, every few elements, and the keys and shapes of each variant apart from its encoders.

    python tools/reference/zoo.py ZOO OUT        # ZOO/<system>/{manifest.json,<case>.safetensors} -> OUT
"""
import json
import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import save_file

# case -> tensor -> slice step of every dimension, on top of the thinning of the source
TPAVI_MAPS = {f"returned_map{i}": (1, 1, 2, 2) for i in (1, 2, 3)} | {"returned_map4": (1, 2, 1, 1)}
KEPT = {
    "tpavi": {
        "s4_pvt2": {"logits": (1, 1, 7, 7), "tpavi1_audio": (1, 1, 1), **TPAVI_MAPS},
        "s4_res50_vv": {"logits": (1, 1, 7, 7), **TPAVI_MAPS},
        "avss_res50": {"logits_every_16th": (1, 3, 2, 2), "argmax": (1, 4, 4), "tpavi4_audio": (1, 1, 1)},
    },
    "avsegformer": {
        "s4_pvt2": {"logits": (1, 1, 7, 7), "mask_feature": (1, 1, 2, 2)},
        "s4_pvt2_512": {"logits_every_4th": (1, 1, 4, 4), "mask_feature": (1, 1, 2, 2)},
        "avss_res50": {"logits_every_16th": (1, 3, 2, 2), "argmax": (1, 4, 4)},
    },
}
ENCODERS = {
    "tpavi": ("encoder_backbone.", "resnet.", "vggish."),
    "avsegformer": ("backbone.", "vggish."),
}


def thin(source: Path, system: str, out: dict, steps: dict):
    for case, tensors in KEPT[system].items():
        with safe_open(source / f"{case}.safetensors", "np") as file:
            before = json.loads(file.metadata()["strides"])
            for key, step in tensors.items():
                value = file.get_tensor(key)[tuple(slice(None, None, s) for s in step)]
                out[f"{case}:{key}"] = value.copy()
                own = {"16th": (1, 1, 16, 16), "_4th": (1, 1, 4, 4)}.get(key[-4:], (1,) * len(step))
                steps[f"{case}:{key}"] = [a * b for a, b in zip(before.get(key, own), step)]


def main():
    zoo, target = map(Path, sys.argv[1:3])
    keys = {}
    for system, encoders in ENCODERS.items():
        out, steps = {}, {}
        thin(zoo / system, system, out, steps)
        metadata = {"origin": f"the published code of {system}, thinned by tools/reference/zoo.py", "steps": json.dumps(steps)}
        save_file(out, target / f"{system}.safetensors", metadata)
        variants = json.loads((zoo / system / "manifest.json").read_text())
        keys[system] = {
            name: {key: shape for key, shape in variant["state_dict"].items() if not key.startswith(encoders)}
            for name, variant in variants.items()
            if not name.startswith("ms3")  # the same as S4
        }
    (target / "zoo_manifests.json").write_text(json.dumps(keys, separators=(",", ":")) + "\n")


main()
