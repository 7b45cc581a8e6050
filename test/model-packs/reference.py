#!/usr/bin/env python3
"""Run the evaluation networks with plain onnxruntime: `python reference.py --data ../../../shared/data --models ../../../shared/models`.

Needs numpy, pillow and onnxruntime. Writes reference.json beside it: what the product's pipeline must give. The figures of the
8-bit network depend on whether the processor has VNNI; those of the kind that this one is not are kept.
"""
import argparse
import csv
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

LABELS = ["No Finding", "Infiltration", "Atelectasis", "Effusion", "Nodule", "Pneumothorax", "Mass", "Consolidation",
          "Pleural_Thickening", "Cardiomegaly", "Emphysema", "Fibrosis", "Edema", "Pneumonia", "Hernia"]


def open_network(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session, images):
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: images[i:i + 16]})[0] for i in range(0, len(images), 16)])


def softmax(x):
    # In double precision: logits far apart would all become 0 and tie.
    x = x.astype(np.float64)
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def auc(scores, labels):
    """Mann-Whitney, ties count half."""
    positive, negative = scores[labels], scores[~labels]
    return float(((positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()))


@lru_cache
def boxes(source, target):
    """Matrix [target, source] of exact box averaging."""
    ratio, matrix = source / target, np.zeros((target, source))
    for i in range(target):
        for j in range(source):
            matrix[i, j] = max(0, min((i + 1) * ratio, j + 1) - max(i * ratio, j)) / ratio
    return matrix


def hats(source, target):
    """Matrix [target, source] of bilinear interpolation with half-pixel centres, edges repeated."""
    matrix = np.zeros((target, source))
    for i in range(target):
        at = min(max((i + 0.5) * source / target - 0.5, 0), source - 1)
        low = min(int(at), source - 2)
        matrix[i, low], matrix[i, low + 1] = 1 - (at - low), at - low
    return matrix


def nih(data, models):
    rows = list(csv.DictReader(open(data / "cxr/nih/labels.csv")))
    images = []
    for row in rows:
        grey = np.asarray(Image.open(data / "cxr/nih/images" / row["Image Index"]).convert("L"), np.float64)
        small = boxes(grey.shape[0], 224) @ grey @ boxes(grey.shape[1], 224).T
        images.append(((small / 255 - 0.485) / 0.229)[None])
    probability = softmax(run(open_network(models / "cxr-eval/nih15_mobilenetv3s_int8.onnx"), np.array(images, np.float32)))
    truth = {name: np.array([name in row["Finding Labels"].split("|") for row in rows]) for name in LABELS}
    figures = {name: round(auc(probability[:, i], truth[name]), 5) for i, name in enumerate(LABELS) if truth[name].any()}
    first = {name: round(float(probability[0, i]), 6) for i, name in enumerate(LABELS)}
    return {"n": len(rows), "auc": figures, "macroAuc": round(float(np.mean(list(figures.values()))), 5),
            "first": {"image": rows[0]["Image Index"], "probability": first}}


def vanilla(data, models):
    archive = np.load(data / "cxr/pneumoniamnist.npz")
    matrix = hats(28, 128)
    large = np.einsum("ij,njk,lk->nil", matrix, archive["test_images"].astype(np.float64), matrix) / 255
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    images = ((large[:, None] - mean[:, None, None]) / std[:, None, None]).astype(np.float32)
    probability = softmax(run(open_network(models / "cxr-eval/pneumoniamnist_vanillacnn_128.onnx"), images))[:, 1]
    labels = archive["test_labels"][:, 0] == 1
    return {"n": len(labels), "auc": round(auc(probability, labels), 5),
            "accuracy": round(float(((probability >= 0.5) == labels).mean()), 5),
            "first": [round(float(p), 6) for p in probability[:8]]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    options = parser.parse_args()
    figures = {"nih15": nih(options.data, options.models), "pneumoniamnist-vanilla": vanilla(options.data, options.models)}
    target = Path(__file__).resolve().parent / "reference.json"
    known = json.loads(target.read_text(encoding="utf-8"))["nih15"] if target.exists() else {}
    own = "auc" if "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8") else "aucWithoutVnni"
    measured = figures["nih15"].pop("auc")
    figures["nih15"] |= {key: known[key] for key in ("auc", "aucWithoutVnni") if key in known} | {own: measured}
    (Path(__file__).resolve().parent / "reference.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
