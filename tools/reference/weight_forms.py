"""
Files and key lists in the forms in which PyTorch programs publish weights -> test/reference/weight-forms/.

Needs torch, timm, torchvision, transformers and huggingface_hub. The models are tiny and never trained. For the layouts
of timm and Hugging Face the script checks, by a forward pass of each model with the same weights, that a key of theirs
stands for the authors' key it is paired with.

    python tools/reference/weight_forms.py
"""
import json
import pathlib

import torch

OUT = pathlib.Path(__file__).parents[2] / "test" / "reference" / "weight-forms"


def torchvision_without_operators():
    """timm imports torchvision, whose compiled operators need the very build of torch that they were made for."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ["nms", "qnms"]:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in ["roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d"]:
        library.define(f"{name}(Tensor a) -> Tensor")
        library.define(f"_{name}_backward(Tensor a) -> Tensor")
    return library


def files():
    """Whole files whose tensors hold 0, 1, 2, ..."""
    first, second = torch.arange(6.0).reshape(2, 3), torch.arange(4.0)
    torch.save({"a.weight": torch._neg_view(first), "a.bias": second}, OUT / "negated.pth")
    # A view that real programs make: the imaginary part of a conjugate.
    complex_values = torch.complex(torch.zeros(6), torch.arange(6.0))
    torch.save({"a.weight": complex_values.conj().imag.reshape(2, 3)}, OUT / "imaginary.pth")
    torch.save({"a.weight": complex_values.conj()}, OUT / "conjugate.pth")
    torch.serialization.set_crc32_options(False)
    torch.save({"a.weight": first, "a.bias": second}, OUT / "unchecked.pth")
    torch.serialization.set_crc32_options(True)

    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(first)
        layer.bias.copy_(second[:2])
    model = torch.nn.Sequential(torch.compile(layer))
    torch.save({"state_dict": torch.compile(model).state_dict()}, OUT / "compiled.pth")

    from huggingface_hub import save_torch_state_dict

    folder = OUT / "sharded"
    folder.mkdir(exist_ok=True)
    tensors = {"a.weight": first, "a.bias": second, "b.weight": first + 6, "b.bias": second + 4}
    save_torch_state_dict(tensors, folder, max_shard_size=40)
    for file in folder.iterdir():
        file.chmod(0o644)


def seeded(model):
    """Distinct values for every element, and running statistics that are not their defaults."""
    generator = torch.Generator().manual_seed(7)
    state = model.state_dict()
    for key, value in state.items():
        if not value.is_floating_point():
            continue
        noise = torch.rand(value.shape, generator=generator)
        state[key] = noise + 0.5 if value.ndim < 2 else (noise - 0.5) / value[0].numel() ** 0.5
    model.load_state_dict(state)
    return model.eval()


def same(a, b):
    assert a.shape == b.shape and torch.allclose(a, b, rtol=2e-3, atol=2e-3), (a - b).abs().max()


PVT = {"dims": [8, 16, 24, 32], "depths": [2, 1, 1, 1], "heads": [1, 2, 3, 4], "mlp": [2, 2, 2, 2]}


def pvt_pairs():
    """Keys of timm and of Hugging Face for the keys of the authors' PVTv2, which timm's own filter translates."""
    import timm.models.pvt_v2 as timm_pvt
    from transformers import PvtV2Config, PvtV2Model

    model = seeded(
        timm_pvt.PyramidVisionTransformerV2(
            embed_dims=PVT["dims"], depths=PVT["depths"], num_heads=PVT["heads"], mlp_ratios=PVT["mlp"],
            sr_ratios=[8, 4, 2, 1], num_classes=0,
        )
    )
    theirs = model.state_dict()
    translate = lambda key: next(iter(timm_pvt.checkpoint_filter_fn({key: None}, None)))
    published = [
        *(f"patch_embed{i + 1}.{part}.{w}" for i in range(4) for part in ["proj", "norm"] for w in ["weight", "bias"]),
        *(f"norm{i + 1}.{w}" for i in range(4) for w in ["weight", "bias"]),
    ]
    parts = ["norm1", "attn.q", "attn.kv", "attn.proj", "norm2", "mlp.fc1", "mlp.dwconv.dwconv", "mlp.fc2"]
    for i, depth in enumerate(PVT["depths"]):
        reduced = ["attn.sr", "attn.norm"] if i < 3 else []
        for k in range(depth):
            published += [f"block{i + 1}.{k}.{part}.{w}" for part in parts + reduced for w in ["weight", "bias"]]
    timm = {translate(key): key for key in published}
    assert set(timm) == set(theirs), set(timm) ^ set(theirs)

    config = PvtV2Config(
        hidden_sizes=PVT["dims"], depths=PVT["depths"], num_attention_heads=PVT["heads"], mlp_ratios=PVT["mlp"],
        image_size=64,
    )
    hugging = PvtV2Model(config).eval()
    state, pairs = hugging.state_dict(), {}
    for key in state:
        stage = int(key.split("layers.")[1].split(".")[0])
        authors = authors_key(key, stage)
        value = theirs[translate(authors)]
        half = value.shape[0] // 2
        state[key] = value[:half] if ".key." in key else value[half:] if ".value." in key else value
        pairs[f"pvt_v2.{key}"] = authors
    hugging.load_state_dict(state)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        same(model.forward_features(x), hugging(x).last_hidden_state)
    return timm, pairs


def authors_key(key, stage):
    """The authors' key for one of Hugging Face's PVTv2."""
    names = {
        "patch_embedding.proj": f"patch_embed{stage + 1}.proj",
        "patch_embedding.layer_norm": f"patch_embed{stage + 1}.norm",
        "layer_norm": f"norm{stage + 1}",
        "layer_norm_1": "norm1", "layer_norm_2": "norm2",
        "attention.query": "attn.q", "attention.key": "attn.kv", "attention.value": "attn.kv",
        "attention.proj": "attn.proj", "attention.spatial_reduction": "attn.sr", "attention.layer_norm": "attn.norm",
        "mlp.dense1": "mlp.fc1", "mlp.dwconv.dwconv": "mlp.dwconv.dwconv", "mlp.dense2": "mlp.fc2",
    }
    rest, kind = key.split(f"layers.{stage}.")[1].rsplit(".", 1)
    if not rest.startswith("blocks."):
        return f"{names[rest]}.{kind}"
    _, block, part = rest.split(".", 2)
    return f"block{stage + 1}.{block}.{names[part]}.{kind}"


def resnet_pairs():
    """Hugging Face's keys for those of torchvision's ResNet-50, which timm has, too."""
    import timm
    import torchvision
    from transformers import ResNetConfig, ResNetModel

    ours = seeded(torchvision.models.resnet50())
    source = ours.state_dict()
    assert list(timm.create_model("resnet50").state_dict()) == list(source)
    theirs = ResNetModel(ResNetConfig()).eval()
    target, pairs = theirs.state_dict(), {}
    for key in target:
        name, kind = key.rsplit(".", 1)
        published = f"{torchvision_layer(name)}.{kind}"
        target[key] = source[published]
        pairs[f"resnet.{key}"] = published
    assert set(pairs.values()) == {key for key in source if not key.startswith("fc.")}
    theirs.load_state_dict(target)
    ours.fc = torch.nn.Identity()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        same(ours(x), theirs(x).pooler_output.flatten(1))
    return pairs


def torchvision_layer(name):
    """torchvision's name for a layer of Hugging Face's ResNet."""
    is_convolution = name.endswith("convolution")
    if name.startswith("embedder"):
        return "conv1" if is_convolution else "bn1"
    _, _, stage, _, block, part, *rest = name.split(".")
    if part == "shortcut":
        return f"layer{int(stage) + 1}.{block}.downsample.{0 if is_convolution else 1}"
    return f"layer{int(stage) + 1}.{block}.{'conv' if is_convolution else 'bn'}{int(rest[0]) + 1}"


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    files()
    library = torchvision_without_operators()
    timm_pairs, hugging_face_pairs = pvt_pairs()
    keys = {
        "timm PVTv2": timm_pairs,
        "Hugging Face PVTv2": hugging_face_pairs,
        "Hugging Face ResNet-50": resnet_pairs(),
    }
    (OUT / "keys.json").write_text(json.dumps(keys, indent=2) + "\n")
