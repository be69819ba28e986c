"""
Thins the reference numbers of other published systems, which their own code made with seeded weights, to what the tests
keep: a few cases, every few elements, and the keys and shapes of each variant apart from its encoders.

    python tools/reference/zoo.py ZOO OUT        # ZOO/<system>/{manifest.json,<case>.safetensors} -> OUT
"""
import json
import re
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
MAPS = (1, 1, 2, 2)
SELM = {
    **{f"stage{i}_first2_every_8th_channel_every_{2 ** (4 - i)}th_position": MAPS for i in (1, 2, 3, 4)},
    **{f"stage{i}_audio": (1, 2) for i in (1, 2, 3, 4)},
    **{f"stage{i}_change_at_position_0": (1, 1) for i in (1, 2, 3, 4)},
    **{f"bidirectional{i}_first2_every_8th_channel_every_{n}th_position": MAPS for i, n in ((1, 8), (4, 1))},
    "bidirectional_audio": (1, 2),
    "encoder_in": (1, 1, 1),
    "encoder_out": (1, 1, 1),
    **{f"fused{i}_first2_every_8th_channel_every_{2 ** i}th_position": MAPS for i in (1, 2, 3)},
    **{f"tokens{i}": (1, 1, 4) for i in (1, 2, 3)},
    **{f"map{i}_second_token": (1, 2 ** (i - 1), 2 ** (i - 1)) for i in (1, 2, 3)},
}
KEPT["selm"] = {
    "s4_pvt": {"logits_every_2nd": (1, 1, 3, 3), **SELM},
    "avss_pvt": {"logits_every_8th": (1, 2, 2, 2), "argmax": (1, 4, 4), **SELM},
}
# Here the steps of the source come first, since its names do not tell the axis.
CHANNELS, TOKENS = ((1, 1, 4), (1, 4, 2)), ((1, 8, 1), (1, 3, 4))
KEPT["denseav"] = {
    "hubert": {
        "conv0_every_64th": ((1, 1, 64), (1, 16, 1)),
        "conv1_every_32nd": ((1, 1, 32), (1, 16, 1)),
        "conv6": (1, 8, 1),
        **{f"{name}_every_4th_channel": CHANNELS for name in ("projected", "position_conv", "layer0", "layer1")},
        "last_hidden_state": (1, 1, 1),
    },
    "aligned": {
        "aligner_pool1": (1, 4, 1, 1),
        "aligner_pool2": (1, 2, 1, 1),
        **{f"aligner_{name}_cls": None for name in ("pool1", "pool2", "self_attention")},
        "audio_feats": None,
        "image_feats_frame0": (1, 4, 3, 3),
        "wide_image_feats_every_4th_channel": ((1, 4, 1, 1), (1, 2, 3, 3)),
    },
    "vit": {
        **{f"{name}_every_8th_token": TOKENS for name in ("embedded", "block0", "block1", "block11", "wide_positions")},
    },
    "heatmap": {
        "similarity": (1, 1, 2, 2, 1),
        "similarity_blurred": (1, 1, 2, 2, 1),
        "shown_every_2nd": ((1, 1, 2, 2), (1, 1, 4, 4)),
        "wide_similarity": (1, 1, 3, 3, 1),
        "wide_shown_every_2nd": ((1, 1, 2, 2), (1, 1, 4, 4)),
        "clip_score": None,
        "calibrated_score": None,
    },
    "without_lora": {"image_feats_every_4th_channel": ((1, 4, 1, 1), (1, 1, 4, 4))},
}
# Systems whose numbers of one case are in several files, by what their names begin with.
PARTS = {"selm": ("model_", "stages_")}
ENCODERS = {
    "tpavi": ("encoder_backbone.", "resnet.", "vggish."),
    "avsegformer": ("backbone.", "vggish."),
    "selm": ("encoder_backbone.patch_embed", "encoder_backbone.block", "encoder_backbone.norm"),
    "denseav": (),
}


def steps_of(key: str, rank: int) -> list[int]:
    """The steps that the source was thinned by, as the name of a map or of logits tells them."""
    if found := re.search(r"every_(\d+)th_channel_every_(\d+)th_position$", key):
        channel, position = map(int, found.groups())
        return [1, channel, position, position]
    if found := re.search(r"every_(\d+)(?:nd|th)$", key):
        return [1, 1, int(found[1]), int(found[1])]
    return [1] * rank


def thin(source: Path, system: str, out: dict, steps: dict):
    for case, tensors in KEPT[system].items():
        for part in PARTS.get(system, ("",)):
            with safe_open(source / f"{part}{case}.safetensors", "np") as file:
                before = json.loads((file.metadata() or {}).get("strides", "{}"))
                keys = set(file.keys())
                for key, step in ((key, step) for key, step in tensors.items() if key in keys):
                    value = file.get_tensor(key)
                    step = step or (1,) * value.ndim
                    own = before.get(key, steps_of(key, value.ndim))
                    if isinstance(step[0], tuple):
                        own, step = step
                    out[f"{case}:{key}"] = value[tuple(slice(None, None, s) for s in step)].copy()
                    steps[f"{case}:{key}"] = [a * b for a, b in zip(own, step)]
        assert all(f"{case}:{key}" in out for key in tensors), case


def main():
    zoo, target = map(Path, sys.argv[1:3])
    keys = {}
    for system, encoders in ENCODERS.items():
        out, steps = {}, {}
        thin(zoo / system, system, out, steps)
        metadata = {"origin": f"the published code of {system}, thinned by tools/reference/zoo.py", "steps": json.dumps(steps)}
        save_file(out, target / f"{system}.safetensors", metadata)
        variants = json.loads((zoo / system / "manifest.json").read_text())
        if system == "denseav":
            split = lambda of, frames: {k: v for k, v in variants[of].items() if k.startswith("image_model.") == frames}
            whole = "state_dict_without_image_lora"
            parts = {"frames with adapters": ("state_dict", True), "frames": (whole, True), "others": ("state_dict", False)}
            keys[system] = {name: split(*part) for name, part in parts.items()}
            continue
        keys[system] = {
            name: {key: shape for key, shape in variant["state_dict"].items() if not key.startswith(encoders)}
            for name, variant in variants.items()
            # Those of MS3 are the same as those of S4, except in SelM.
            if "state_dict" in variant and (system == "selm" or not name.startswith("ms3"))
        }
    (target / "zoo_manifests.json").write_text(json.dumps(keys, separators=(",", ":")) + "\n")


main()
