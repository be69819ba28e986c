"""A miniature AVSBench (S4, MS3, AVSS) in the published layout, and the metrics that the published evaluation gives on it.

Frames show moving discs over waves; sounds are tones. To stay small, clips of S4 and MS3 have their sound as a pickled
log-mel, which the published loader reads; one clip has its WAV file too.
"""
import csv
import json
import pickle

import numpy as np
import torch
from PIL import Image

import log_mel
import seeded
from files import tone
from metrics import class_means, fscore, miou, semantic
from model import Model

CLASSES = (
    "background accordion airplane axe baby bassoon bell bird boat boy bus car cat cello clarinet clipper clock dog "
    "donkey drum duck elephant emergency-car erhu flute frying-food girl goose guitar gun guzheng hair-dryer handpan "
    "harmonica harp helicopter hen horse keyboard leopard lion man marimba missile-rocket motorcycle mower parrot piano "
    "pig pipa saw saxophone sheep sitar sorna squirrel tabla tank tiger tractor train trombone truck trumpet tuba "
    "ukulele utv vacuum-cleaner violin wolf woman"
).split()
S4_CLIPS = (  # category, split, name
    ("dog_barking", "train", "aaa_0_5000"),
    ("dog_barking", "train", "-b_b_12000_17000"),  # names on YouTube may begin with a dash
    ("helicopter", "val", "ccc_1_6000"),
    ("helicopter", "test", "ddd_2_7000"),
    ("dog_barking", "test", "eee_3_8000"),
    ("playing_violin", "test", "fff_4_9000"),
    ("playing_violin", "test", "ggg_4_9000"),
    ("helicopter", "test", "hhh_4_9000"),
)
S4_WITH_WAV = "ccc_1_6000"
MS3_CLIPS = (("train", "m_one"), ("val", "m_two"), ("test", "m_three"), ("test", "m_four"))  # split, name
AVSS_CLIPS = (  # subset, split, name, classes, seconds
    ("v1s", "train", "x1_5_10", "dog", 5),
    ("v1m", "train", "x2_0_5", "dog_man", 5),
    ("v2", "val", "x3_0_10", "guitar_woman", 10),
    ("v1m", "test", "x4_0_5", "cat_drum", 5),
    ("v2", "test", "x5_20_30", "piano_man", 10),
)
S4, MS3 = "Single-source/s4_data", "Multi-sources/ms3_data"
SIDE = 224


def palette():
    """The VOC colors of the 71 classes."""
    colors = np.zeros((len(CLASSES), 3), np.uint8)
    for index in range(len(CLASSES)):
        rest, bit = index, 7
        while rest:
            for channel in range(3):
                colors[index, channel] |= ((rest >> channel) & 1) << bit
            rest, bit = rest >> 3, bit - 1
    return colors


def scene(name, h, w, t):
    """The frame at second t, and its map of labels: 0, 1 and 2 for two discs."""
    u = seeded.uniform(f"scene:{name}", 40).astype(np.float64)
    yy, xx = np.mgrid[0:h, 0:w]
    frame = np.stack([120 + 60 * np.sin(xx / (20 + 9 * u[i]) + yy / (25 + 9 * u[i + 3])) for i in range(3)], -1)
    labels = np.zeros((h, w), int)
    for k in range(2):
        cy = h * (0.5 + 0.3 * u[6 + k] + 0.03 * t * u[8 + k])
        cx = w * (0.5 + 0.3 * u[10 + k] + 0.04 * t * u[12 + k])
        disc = (yy - cy) ** 2 + (xx - cx) ** 2 < (min(h, w) * (0.2 + 0.08 * u[14 + k])) ** 2
        frame[disc] = 128 + 100 * u[16 + 3 * k : 19 + 3 * k] + 20 * np.sin(xx[disc] / 3)[:, None]
        labels[disc] = k + 1
    return Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)), labels


def put(picture, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)


def put_mask(mask, file):
    put(Image.fromarray((mask * 255).astype(np.uint8)), file)


def put_table(rows, file):
    with open(file, "w", newline="") as f:
        csv.writer(f).writerows(rows)


def put_log_mel(name, wav, file):
    """The pickled log-mel of a clip of five seconds; its WAV file stays only where a test needs it."""
    log_mel.write_wav(wav, tone(name, log_mel.RATE, 5), log_mel.RATE)
    examples = torch.from_numpy(log_mel.examples(wav))
    if name != S4_WITH_WAV:
        wav.unlink()
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "wb") as f:
        pickle.dump(examples.requires_grad_(True), f)


def build_s4(root):
    rows = [["name", "start", "category", "split"]]
    data = root / S4
    for category, split, name in S4_CLIPS:
        rows.append([name, name.split("_")[-2], category, split])
        place = f"{split}/{category}/{name}"
        for t in range(1, 6):
            frame, labels = scene(name, SIDE, SIDE, t)
            put(frame, data / "visual_frames" / place / f"{name}_{t}.png")
            if split != "train" or t == 1:
                put_mask(labels == 1, data / "gt_masks" / place / f"{name}_{t}.png")
        put_log_mel(name, data / f"audio_wav/{place}.wav", data / f"audio_log_mel/{place}.pkl")
    put_table(rows, root / "Single-source/s4_meta_data.csv")


def build_ms3(root):
    rows = [["name", "split"]]
    data = root / MS3
    for split, name in MS3_CLIPS:
        rows.append([name, split])
        for t in range(1, 6):
            frame, labels = scene(name, SIDE, SIDE, t)
            put(frame, data / f"visual_frames/{name}/{name}.mp4_{t}.png")
            # Both discs sound, then the second one, then none.
            mask = labels > 0 if t < 4 else labels == (2 if t == 4 else 9)
            put_mask(mask, data / f"gt_masks/{split}/{name}/{name}_{t}.png")
        put_log_mel(name, data / f"audio_wav/{split}/{name}.wav", data / f"audio_log_mel/{split}/{name}.pkl")
    put_table(rows, root / "Multi-sources/ms3_meta_data.csv")


def build_avss(root):
    rows = [["vid", "uid", "s_min", "s_sec", "a_obj", "split", "label"]]
    colors = palette()
    for subset, split, name, objects, seconds in AVSS_CLIPS:
        rows.append([name.split("_")[0], name, 0, 0, objects, split, subset])
        ids = [0, *(CLASSES.index(o) for o in objects.split("_"))]
        ids += [0] * (3 - len(ids))
        clip = root / "AVSS" / subset / name
        for t in range(seconds):
            frame, labels = scene(name, 240, 426, t)
            put(frame, clip / f"frames/{t}.jpg")
            if subset != "v1s" or t == 0:
                put(Image.fromarray(colors[np.array(ids)[labels]]), clip / f"labels_rgb/{t}.png")
        log_mel.write_wav(clip / "audio.wav", tone(name, log_mel.RATE, seconds), log_mel.RATE)
    put_table(rows, root / "AVSS/metadata.csv")
    (root / "AVSS/label2idx.json").write_text(json.dumps({c: i for i, c in enumerate(CLASSES)}) + "\n")


def normalized(picture):
    """[3,H,W] of an RGB picture, as the published loader feeds it."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
    return torch.from_numpy(((pixels - mean) / std).transpose(2, 0, 1)).float()


def evaluate_binary(clips, batch, model, shift):
    """`clips` are (name, frames [5], masks [5], log-mel); the bias `shift`, chosen here if it is None, adds to the logits."""
    scores, per_video = [], {}
    for i in range(0, len(clips), batch):
        names, frames, masks, mels = zip(*clips[i : i + batch])
        x_frames = torch.stack([normalized(Image.open(file)) for clip in frames for file in clip])
        y = torch.stack(
            [torch.from_numpy(np.asarray(Image.open(file), np.float32) / 255) for clip in masks for file in clip]
        )
        audio = torch.cat([pickle.loads(file.read_bytes()).detach() for file in mels])
        with torch.no_grad():
            x = model(audio, x_frames)[:, 0]
        if shift is None:
            shift = round(-x.median().item(), 2)  # half of the pixels become positive
        x = x + shift
        scores.append((miou(x.double(), y.double()).item(), fscore(x, y).item()))
        for j, name in enumerate(names):
            one = slice(5 * j, 5 * j + 5)
            per_video[name] = miou(x[one].double(), y[one].double()).item()
    mean_iou, mean_fscore = np.array(scores).mean(0).tolist()
    return {"miou": mean_iou, "fscore": mean_fscore, "batch_size": batch, "per_video_miou": per_video}, shift


def evaluate_avss(root, model):
    frames, labels, audio, keep = [], [], [], []
    colors, videos = palette(), [clip for clip in AVSS_CLIPS if clip[1] == "test"]
    size = (SIDE, SIDE)
    for subset, _, name, _, seconds in videos:
        clip = root / "AVSS" / subset / name
        for t in range(10):
            if t < seconds:
                frames.append(normalized(Image.open(clip / f"frames/{t}.jpg").convert("RGB").resize(size, Image.BILINEAR)))
                colored = Image.open(clip / f"labels_rgb/{t}.png").convert("RGB").resize(size, Image.NEAREST)
                labels.append(torch.from_numpy((np.asarray(colored)[:, :, None] == colors).all(-1).argmax(-1)))
            else:
                frames.append(torch.zeros(3, *size))
                labels.append(torch.zeros(size, dtype=torch.long))
            keep.append(float(t < seconds))
        mel, examples = torch.zeros(10, 1, 96, 64), torch.from_numpy(log_mel.examples(clip / "audio.wav"))
        mel[: len(examples)] = examples
        audio.append(mel)
    keep = torch.tensor(keep)
    with torch.no_grad():
        x = model(torch.cat(audio), torch.stack(frames), keep)
    kept = x[keep.bool()]
    # Half of the pixels become background.
    shift = round((kept[:, 1:].amax(1) - kept[:, 0]).median().item(), 2)
    x[:, 0] += shift * keep.view(-1, 1, 1)
    iou, fscores, count = semantic(x, torch.stack(labels), len(CLASSES))
    iou_means, fscore_means = class_means(iou, count), class_means(fscores, count)
    return {
        "mask_features_bias_0_shift": shift,
        "miou": iou_means.mean().item(),
        "fscore": fscore_means.mean().item(),
        "miou_published_no_background": iou_means[:-1].mean().item(),
        "fscore_published_no_background": fscore_means[:-1].mean().item(),
        "batch_size": 4,
        "classes_counted": int((count > 0).sum()),
        "videos": [clip[2] for clip in videos],
    }


def expected(root):
    """The metrics of seeded PVTv2-B5 models, in float32 as published."""
    s4, ms3 = root / S4, root / MS3
    s4_clips = [
        (
            name,
            [s4 / f"visual_frames/test/{category}/{name}/{name}_{t}.png" for t in range(1, 6)],
            [s4 / f"gt_masks/test/{category}/{name}/{name}_{t}.png" for t in range(1, 6)],
            s4 / f"audio_log_mel/test/{category}/{name}.pkl",
        )
        for category, split, name in S4_CLIPS
        if split == "test"
    ]
    ms3_clips = [
        (
            name,
            [ms3 / f"visual_frames/{name}/{name}.mp4_{t}.png" for t in range(1, 6)],
            [ms3 / f"gt_masks/test/{name}/{name}_{t}.png" for t in range(1, 6)],
            ms3 / f"audio_log_mel/test/{name}.pkl",
        )
        for split, name in MS3_CLIPS
        if split == "test"
    ]
    model, result = seeded.fill(Model("b5")).float().eval(), {}
    result["s4_pvt2_test"], shift = evaluate_binary(s4_clips, 4, model, None)
    for batch in (1, 4):
        result[f"ms3_pvt2_test_batch{batch}"], _ = evaluate_binary(ms3_clips, batch, model, shift)
    result["avss_pvt2_test"] = evaluate_avss(root, seeded.fill(Model("b5", classes=len(CLASSES))).float().eval())
    result["binary_mask_features_bias_shift"] = shift
    return result


def minibench(out):
    root = out / "minibench"
    for build in (build_s4, build_ms3, build_avss):
        build(root)
    (root / "expected.json").write_text(json.dumps(expected(root), indent=1) + "\n")
