"""Runs a model exported by avseg in stock ONNX Runtime: python examples/python/segment.py MODEL.onnx VIDEO

Needs: pip install -r examples/python/requirements.txt, and ffmpeg. Export the model so that it takes sound as it is:
    avseg export CHECKPOINT --out MODEL.onnx --with-audio-frontend
"""

import json
import os
import subprocess
import sys

import numpy as np
import onnxruntime as ort


def ffmpeg(video: str, kind: str, *arguments: str) -> bytes:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", video, *arguments, "pipe:1"]
    run = subprocess.run(command, capture_output=True)
    if run.returncode != 0:
        sys.exit(f"{video}: ffmpeg finds no {kind} in it")
    return run.stdout


def main(model: str, video: str) -> None:
    for file in (model, video):
        if not os.path.isfile(file):
            sys.exit(f"{file}: there is no such file")
    session = ort.InferenceSession(model)
    about = session.get_modelmeta().custom_metadata_map
    if (about.get("frames"), about.get("audio"), about.get("clips")) != ("u8", "pcm", "1"):
        sys.exit("export the model with --with-audio-frontend, u8 frames and one clip")
    steps, size, rate = (int(about[key]) for key in ("frames_per_clip", "image_size", "sample_rate_hz"))

    # The last of sixteen samples of every second, as the model was trained; 16 kHz mono from time zero.
    raw = ffmpeg(video, "pictures", "-vf", f"fps=16:round=up:start_time=0,scale={size}:{size}", "-f", "rawvideo", "-pix_fmt", "rgb24")
    frames = np.frombuffer(raw, np.uint8).reshape(-1, size, size, 3)[15::16]
    sound = np.frombuffer(
        ffmpeg(video, "sound", "-ac", "1", "-af", f"aresample={rate}:async=1:first_pts=0", "-f", "f32le"), np.float32
    )

    for start in range(0, len(frames), steps):
        window = frames[start : start + steps]
        real = len(window)
        # The last window repeats its last frame; its sound ends in silence.
        window = np.concatenate([window, np.repeat(window[-1:], steps - real, 0)])
        samples = np.zeros((1, steps * rate), np.float32)
        part = sound[start * rate : (start + real) * rate]
        samples[0, : len(part)] = part
        feeds = {"frames": window, "sound": samples}
        if any(i.name == "frameMask" for i in session.get_inputs()):
            feeds["frameMask"] = (np.arange(steps) < real).astype(np.float32)
        (probabilities,) = session.run(["probabilities"], feeds)
        for k in range(real):
            p = probabilities[k]
            labels = (p[0] > 0.5).astype(int) if len(p) == 1 else p.argmax(0)
            print(json.dumps({"second": start + k, "share": round(float((labels > 0).mean()), 4)}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2])
    except KeyboardInterrupt:
        sys.exit(130)
