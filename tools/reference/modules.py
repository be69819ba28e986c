"""References of modules and whole models: encoders, messenger, decoder, manifests."""
import json

import torch

from encoders import Vggish, stages, visual_encoder
from model import Decoder, Messenger, Model
from seeded import fill, input_
from store import save


def gradients(module):
    """Gradients of the trainable parameters; zeros for those that the output does not depend on."""
    return {
        f"grad:{key}": torch.zeros_like(p) if p.grad is None else p.grad
        for key, p in module.named_parameters()
        if p.requires_grad
    }


def manifests(out):
    """State-dict names, shapes and parameter counts of the four published models."""
    result = {}
    for name, backbone, classes in (
        ("s4_pvt2", "b5", 1),
        ("avss_pvt2", "b5", 71),
        ("s4_res50", "res50", 1),
        ("avss_res50", "res50", 71),
    ):
        model = Model(backbone, classes)
        count = lambda module, trainable=False: sum(
            p.numel() for p in module.parameters() if p.requires_grad or not trainable
        )
        result[name] = {
            "state_dict": {key: list(t.shape) for key, t in model.state_dict().items()},
            "parameters": {
                "total": count(model),
                "trainable": count(model, trainable=True),
                "messenger_blocks": count(model.bridger),
                "decoder": count(model.decoder),
                "visual_encoder": count(model.visual_encoder),
                "audio_encoder": count(model.audio_encoder),
            },
        }
    (out / "manifests.json").write_text(json.dumps(result) + "\n")


def encoders(out):
    """Outputs of the encoders alone: VGGish, PVTv2-B0, -B2, -B5, ResNet-50 and EfficientNet-Lite 0 and 2."""
    with torch.no_grad():
        model = fill(Vggish())
        x = input_("vggish", (2, 1, 96, 64), scale=3)
        save(out / "vggish.safetensors", {"features": model.features(x), "embedding": model(x)})
        for variant, size, n in (("b0", 64, 2), ("b2", 64, 1), ("b5", 224, 1)):
            frames = input_(f"pvt_{variant}", (n, 3, size, size), scale=2)
            save(out / f"pvt_{variant}_{size}.safetensors", stages(fill(visual_encoder(variant)).eval(), frames), limit=16384)
        frames = input_("res50", (1, 3, 96, 96), scale=2)
        save(out / "res50_96.safetensors", stages(fill(visual_encoder("res50")).eval(), frames), limit=16384)
        for variant in ("lite0", "lite2"):
            frames = input_(variant, (1, 3, 96, 96), scale=2)
            save(out / f"{variant}_96.safetensors", stages(fill(visual_encoder(variant)).eval(), frames), limit=16384)


def messengers(out):
    """Outputs and all gradients of a Messenger Block, for given gradients of its outputs."""
    for c, hw, t, clips in ((64, 49, 5, 2), (320, 16, 5, 1), (32, 36, 10, 1)):
        model = fill(Messenger(c, t=t))
        audio = input_(f"messenger_audio_{c}", (t * clips, 1, 128)).requires_grad_()
        visual = input_(f"messenger_visual_{c}", (t * clips, hw, c)).requires_grad_()
        audio_out, visual_out = model(audio, visual)
        d_audio = input_(f"messenger_da_{c}", audio_out.shape)
        d_visual = input_(f"messenger_dv_{c}", visual_out.shape)
        ((audio_out * d_audio).sum() + (visual_out * d_visual).sum()).backward()
        results = {
            "audio_out": audio_out,
            "visual_out": visual_out,
            "grad_audio": audio.grad,
            "grad_visual": visual.grad,
        }
        save(out / f"messenger_{c}.safetensors", {**results, **gradients(model)}, {"t": t})


def decoders(out):
    """Logits and all gradients of the four published forms of the decoder, for given gradients of the logits."""
    channels, sizes = (16, 32, 48, 64), (16, 8, 4, 2)
    for project in (False, True):
        for channel in (False, True):
            name = "decoder" + "_project" * project + "_channel" * channel
            model = fill(Decoder(channels, conv_dim=32, classes=3, project=project, channel=channel))
            for key, module in model.named_modules():
                if key.endswith("ffn.0") or key.startswith("layer_"):
                    module.register_forward_hook(check_away_from_kink)
            audios = [input_(f"{name}_audio{i}", (2, 1, c)).requires_grad_() for i, c in enumerate(channels)]
            visuals = [
                input_(f"{name}_visual{i}", (2, c, s, s)).requires_grad_()
                for i, (c, s) in enumerate(zip(channels, sizes))
            ]
            logits = model(audios, visuals)
            (logits * input_(f"{name}_dy", logits.shape)).sum().backward()
            results = {"logits": logits, **gradients(model)}
            for i in range(4):
                results |= {f"grad_audio{i}": audios[i].grad, f"grad_visual{i}": visuals[i].grad}
            save(out / f"{name}.safetensors", results)


def check_away_from_kink(_module, _inputs, output):
    """Refuses inputs of a ReLU that are so near zero that float32 may find the other sign, and another gradient."""
    assert output.abs().min() > 1e-6, "take other inputs: one is too near the kink of a ReLU"


def models(out):
    """Logits of whole published models, and the classes of AVSS with five of ten frames padded."""
    with torch.no_grad():
        audio, frames = input_("s4_log_mel", (5, 1, 96, 64), scale=3), input_("s4_frames", (5, 3, 224, 224), scale=2)
        for name, backbone in (("pvt2", "b5"), ("res50", "res50")):
            logits = fill(Model(backbone)).eval()(audio, frames)
            save(out / f"model_s4_{name}.safetensors", {"logits": logits}, limit=16384)
        audio, frames = input_("avss_log_mel", (10, 1, 96, 64), scale=3), input_("avss_frames", (10, 3, 224, 224), scale=2)
        keep = torch.tensor([1.0] * 5 + [0.0] * 5, dtype=torch.float64)
        logits = fill(Model("b5", classes=71)).eval()(audio, frames, keep)
        results = {"keep": keep, "logits": logits, "classes": logits.argmax(1).to(torch.uint8)}
        save(out / "model_avss_pvt2.safetensors", results, limit=32768)
