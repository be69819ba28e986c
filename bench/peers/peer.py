"""The same model in other runtimes, for `npm run bench -- --peers`; see race.ts.

    python peer.py versions                              which peers this Python has, as JSON
    python peer.py prepare FOLDER BACKBONE               writes model.onnx and model-int8.onnx beside weights.safetensors
    python peer.py NAME FOLDER BACKBONE THREADS          one contestant

A contestant opens the model, runs it once, writes its logits to FOLDER/NAME.f32 and prints a line. Then it answers every
line of standard input with the seconds of one run. The model is that of tools/reference, in float32.
"""
import importlib.metadata
import json
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "reference"))

ONNX = ["torch", "onnx", "safetensors"]
NEEDS = {
    "torch": ["torch", "safetensors"],
    "torch-compile": ["torch", "safetensors"],
    "onnxruntime": ["onnxruntime", *ONNX],
    "onnxruntime-int8": ["onnxruntime", *ONNX],
    "openvino": ["openvino", *ONNX],
    "openvino-int8": ["openvino", "onnxruntime", *ONNX],
}


def versions():
    """Each peer's version, or which package it lacks."""
    found = {}
    for peer, packages in NEEDS.items():
        try:
            found[peer] = {"version": [importlib.metadata.version(package) for package in packages][0]}
        except importlib.metadata.PackageNotFoundError as error:
            found[peer] = {"missing": error.name}
    return found


def inputs(folder):
    """Frames u8[5,H,W,3] and log-mels [5,1,96,64]."""
    from safetensors.numpy import load_file

    tensors = load_file(os.path.join(folder, "inputs.safetensors"))
    return tensors["frames"], tensors["logMel"]


def torch_model(folder, backbone):
    """The model with its preprocessing: frames and log-mels -> logits."""
    import torch
    from safetensors.torch import load_file
    from model import Model

    class WithFrames(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = Model(backbone)
            self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

        def forward(self, frames, log_mel):
            x = frames.permute(0, 3, 1, 2).float() / 255
            return self.model(log_mel, (x - self.mean) / self.std)

    module = WithFrames()
    module.model.load_state_dict(load_file(os.path.join(folder, "weights.safetensors")))
    return module.eval()


def prepare(folder, backbone):
    """Writes the ONNX files that ONNX Runtime and OpenVINO read."""
    import torch

    frames, log_mel = inputs(folder)
    exported = os.path.join(folder, "model.onnx")
    torch.onnx.export(
        torch_model(folder, backbone),
        (torch.from_numpy(frames), torch.from_numpy(log_mel)),
        exported,
        dynamo=False,
        opset_version=17,
        input_names=["frames", "logMel"],
        output_names=["logits"],
    )
    if "missing" in versions()["onnxruntime-int8"]:
        return
    from onnxruntime import quantization

    class Calibration(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = [{"frames": frames, "logMel": log_mel}]

        def get_next(self):
            return self.left.pop() if self.left else None

    quantization.quantize_static(
        exported,
        os.path.join(folder, "model-int8.onnx"),
        Calibration(),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["MatMul", "Gemm", "Conv"],
        per_channel=True,
        reduce_range=True,  # processors without VNNI sum pairs of products in 16 bits
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )


def opened(name, folder, backbone, threads):
    """A function that computes the logits."""
    frames, log_mel = inputs(folder)
    kind, _, form = name.partition("-")
    file = os.path.join(folder, "model-int8.onnx" if form == "int8" else "model.onnx")
    if kind == "torch":
        import torch

        torch.set_num_threads(threads)
        model = torch_model(folder, backbone)
        run = torch.compile(model) if form == "compile" else model
        feeds = torch.from_numpy(frames), torch.from_numpy(log_mel)

        def forward():
            with torch.inference_mode():
                return run(*feeds).numpy()

        return forward
    if kind == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(file, options)
        return lambda: session.run(None, {"frames": frames, "logMel": log_mel})[0]
    import openvino

    hints = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    core = openvino.Core()
    model = core.compile_model(core.read_model(file), "CPU", hints)
    return lambda: model({"frames": frames, "logMel": log_mel})[0]


def main(name, *rest):
    if name == "versions":
        print(json.dumps(versions()))
    elif name == "prepare":
        prepare(*rest)
    else:
        folder, backbone, threads = rest
        forward = opened(name, folder, backbone, int(threads))
        np.asarray(forward(), dtype=np.float32).tofile(os.path.join(folder, f"{name}.f32"))
        print("ready", flush=True)
        for _ in sys.stdin:
            started = time.perf_counter()
            forward()
            print(time.perf_counter() - started, flush=True)


main(*sys.argv[1:])
