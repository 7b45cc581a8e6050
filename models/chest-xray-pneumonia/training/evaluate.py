#!/usr/bin/env python3
"""Calibrate and evaluate model.onnx with onnxruntime; write figures.json and manifest.json.

The calibration and the threshold come from the val split; only then is the test split
read. With --check nothing is written: the figures are computed anew from the files and
compared with figures.json.
"""
import argparse
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime

import data

BOOTSTRAPS = 2000
BINS = 10
SENSITIVITY_GOAL = 0.95


def open_model(path):
    """An onnxruntime session on one core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session, images, batch=64):
    """Logits [n] of images float32 [n, 1, 28, 28]."""
    parts = [session.run(["logits"], {"image": images[i:i + batch]})[0][:, 0]
             for i in range(0, len(images), batch)]
    return np.concatenate(parts).astype(np.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def auc(scores, labels, weights=None):
    """Area under the ROC curve; ties count half; optional weights by image."""
    weights = np.ones(len(scores)) if weights is None else weights
    values, place = np.unique(scores, return_inverse=True)
    positive = np.bincount(place, weights * labels, len(values))
    negative = np.bincount(place, weights * (1 - labels), len(values))
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def fit_platt(logits, labels):
    """Slope and intercept of Platt's scaling, with his smoothed targets, by Newton's method."""
    count = labels.sum()
    target = np.where(labels == 1, (count + 1) / (count + 2), 1 / (len(labels) - count + 2))
    design = np.column_stack([logits, np.ones(len(logits))])
    line = np.array([1.0, 0.0])
    for _ in range(100):
        p = sigmoid(design @ line)
        hessian = design.T @ (design * (p * (1 - p))[:, None]) + 1e-9 * np.eye(2)
        line -= np.linalg.solve(hessian, design.T @ (p - target))
    return float(line[0]), float(line[1])


def choose_threshold(probability, labels):
    """The highest threshold (rounded down to 4 decimals) that keeps the sensitivity goal."""
    positive = np.sort(probability[labels == 1])
    allowed = int(np.floor((1 - SENSITIVITY_GOAL) * len(positive) + 1e-9))
    return float(np.floor(positive[allowed] * 1e4) / 1e4)


def calibration_error(probability, labels):
    """Expected calibration error over equal-width bins of the probability."""
    return float(sum(abs(row["observed"] - row["predicted"]) * row["n"]
                     for row in reliability(probability, labels) if row["n"]) / len(labels))


def reliability(probability, labels):
    """Mean predicted and observed frequency of pneumonia, bin by bin."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    rows = []
    for i in range(BINS):
        inside = place == i
        n = int(inside.sum())
        rows.append({"from": i / BINS, "to": (i + 1) / BINS, "n": n,
                     "predicted": float(probability[inside].mean()) if n else None,
                     "observed": float(labels[inside].mean()) if n else None})
    return rows


def measures(raw, probability, labels, threshold):
    """All figures of one set of images, without intervals."""
    called = probability >= threshold
    positive = labels == 1
    return {"auc": auc(probability, labels),
            "accuracy": float((called == positive).mean()),
            "sensitivity": float(called[positive].mean()),
            "specificity": float((~called[~positive]).mean()),
            "ppv": float(positive[called].mean()) if called.any() else 0.0,
            "npv": float((~positive[~called]).mean()) if (~called).any() else 0.0,
            "brierBefore": float(((raw - labels) ** 2).mean()),
            "brier": float(((probability - labels) ** 2).mean()),
            "eceBefore": calibration_error(raw, labels),
            "ece": calibration_error(probability, labels)}


def summarise(logits, labels, line, threshold):
    """The figures with 95 % intervals: percentiles over bootstrap resamples of the images."""
    raw, probability = sigmoid(logits), sigmoid(line[0] * logits + line[1])
    value = measures(raw, probability, labels, threshold)
    rng, draws = np.random.RandomState(0), []
    for _ in range(BOOTSTRAPS):
        i = rng.randint(0, len(labels), len(labels))
        draws.append(measures(raw[i], probability[i], labels[i], threshold))
    called = probability >= threshold
    result = {name: {"value": round(number, 4),
                     "ci95": [round(float(q), 4) for q in
                              np.percentile([d[name] for d in draws], [2.5, 97.5])]}
              for name, number in value.items()}
    result["n"] = len(labels)
    result["confusion"] = {"tp": int((called & (labels == 1)).sum()),
                           "fn": int((~called & (labels == 1)).sum()),
                           "fp": int((called & (labels == 0)).sum()),
                           "tn": int((~called & (labels == 0)).sum())}
    result["reliability"] = reliability(probability, labels)
    return result


def smooth(x):
    """Blur with the kernel (1 2 1) x (1 2 1) / 16, edges repeated."""
    p = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    p = (p[:, :, :-2] + 2 * p[:, :, 1:-1] + p[:, :, 2:]) / 4
    return (p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]) / 4


def zoom(x, factor):
    """Zoom about the centre, bilinear, edges repeated (factor above 1: tighter crop)."""
    size = x.shape[2]
    at = np.clip((np.arange(size) - (size - 1) / 2) / factor + (size - 1) / 2, 0, size - 1)
    low = np.minimum(at.astype(int), size - 2)
    part = (at - low).astype(np.float32)
    rows = x[:, :, low] * (1 - part)[:, None] + x[:, :, low + 1] * part[:, None]
    return rows[..., low] * (1 - part) + rows[..., low + 1] * part


def shift(x, down, right):
    """Shift by whole pixels, edges repeated."""
    p = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    return p[:, :, 2 - down:30 - down, 2 - right:30 - right]


STRESS = {
    "mirrored": lambda x: x[..., ::-1],
    "gamma 0.7": lambda x: x ** 0.7,
    "gamma 1.4": lambda x: x ** 1.4,
    "contrast x 0.6": lambda x: 0.5 + 0.6 * (x - 0.5),
    "contrast x 1.4, clipped": lambda x: np.clip(0.5 + 1.4 * (x - 0.5), 0, 1),
    "blurred": smooth,
    "noise of sd 0.03": lambda x: np.clip(
        x + np.random.RandomState(0).normal(0, 0.03, x.shape), 0, 1),
    "shifted 2 px right and down": lambda x: shift(x, 2, 2),
    "shifted 2 px left and up": lambda x: shift(x, -2, -2),
    "tighter crop x 1.15": lambda x: zoom(x, 1.15),
    "wider crop x 0.87": lambda x: zoom(x, 0.87),
    "black border of 2 px": lambda x: np.pad(x[:, :, 2:-2, 2:-2], ((0, 0), (0, 0), (2, 2), (2, 2))),
}


def milliseconds(session, rounds=200):
    """Median time of one image on one core."""
    image, times = np.random.RandomState(0).rand(1, 1, 28, 28).astype(np.float32), []
    for _ in range(rounds):
        start = time.perf_counter()
        session.run(None, {"image": image})
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e3)


def check_constant(session):
    """Constant images must give finite outputs."""
    for grey in (0.0, 1.0):
        for output in session.run(None, {"image": np.full((1, 1, 28, 28), grey, np.float32)}):
            if not np.isfinite(output).all():
                raise SystemExit(f"a constant image of {grey} gives an output that is not finite")


def compute(path, folder):
    """All figures of the model file."""
    session = open_model(path)
    check_constant(session)
    archive = data.open_archive(folder)
    figures = {"model": {"bytes": path.stat().st_size,
                         "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                         "msPerImageOneCore": round(milliseconds(session), 1)}}

    images, labels = data.read_split(archive, "val")
    logits = run(session, images)
    line = tuple(round(number, 4) for number in fit_platt(logits, labels))
    threshold = choose_threshold(sigmoid(line[0] * logits + line[1]), labels)
    figures["calibration"] = {"method": "platt", "slope": line[0], "intercept": line[1]}
    figures["threshold"] = threshold
    nuisance = data.NuisanceModel(*data.read_split(archive, "train"))

    for split in ("val", "test"):
        images, labels = data.read_split(archive, split)
        logits = run(session, images)
        part = summarise(logits, labels, line, threshold)
        part["aucNuisanceModel"] = round(auc(nuisance.probability(images), labels), 4)
        part["aucOverlapWeighted"] = round(
            auc(logits, labels, nuisance.overlap_weights(images, labels)), 4)
        part["stressAuc"] = {
            name: round(auc(run(session, np.ascontiguousarray(change(images), np.float32)), labels), 4)
            for name, change in STRESS.items()}
        figures[split] = part
    return figures


def manifest(figures):
    """The manifest the product reads."""
    def row(metric, name):
        figure = figures["test"][name]
        return {"dataset": "PneumoniaMNIST", "split": "test", "metric": metric, "label": "Pneumonia",
                "value": figure["value"], "ci95": figure["ci95"], "n": figures["test"]["n"]}

    return {
        "manifestVersion": 1,
        "name": "chest-xray-pneumonia",
        "version": "1.0.0",
        "title": "Pneumonia on chest X-rays of children",
        "license": "Apache-2.0",
        "intendedUse": "Second look at frontal chest X-rays of children of 1 to 5 years: marks images "
                       "that may show pneumonia, for a qualified reader to judge. Not for primary "
                       "diagnosis, and not for adults.",
        "analysis": "chest-xray-classification",
        "recipe": "image-classifier",
        "domain": {"modalities": ["CR", "DX"], "bodyParts": ["CHEST"], "viewPositions": ["AP", "PA"],
                   "ageYears": {"min": 1, "max": 5}, "unknownAge": "outside",
                   "unknownView": "inside", "unknownBodyPart": "inside"},
        "files": [{"path": "model.onnx", "sha256": figures["model"]["sha256"]}],
        "input": {"name": "image", "shape": ["batch", 1, 28, 28], "type": "float32"},
        "outputs": {"logits": {"name": "logits", "shape": ["batch", 1]},
                    "activationMap": {"name": "activation_map", "shape": ["batch", 1, 7, 7]}},
        "preprocessing": {"crop": "centre-square",
                          "resize": {"height": 28, "width": 28, "interpolation": "area"},
                          "scale": 255, "mean": [0], "std": [1]},
        "postprocessing": {"activation": "sigmoid", "calibration": figures["calibration"]},
        "labels": [{"index": 0, "name": "Pneumonia", "names": {"zh-CN": "肺炎"},
                    "code": {"system": "SNOMED-CT", "value": "233604007", "meaning": "Pneumonia"},
                    "threshold": figures["threshold"]}],
        "validation": [row("AUC", "auc"), row("accuracy", "accuracy"),
                       row("sensitivity", "sensitivity"), row("specificity", "specificity"),
                       row("Brier", "brier"), row("ECE", "ece")],
    }


def report(figures):
    """Print the figures of both splits."""
    model = figures["model"]
    print(f"model.onnx: {model['bytes']} bytes, {model['msPerImageOneCore']} ms per image on one core")
    print(f"calibration {figures['calibration']}, threshold {figures['threshold']}")
    for split in ("val", "test"):
        part = figures[split]
        print(f"{split} ({part['n']} images): confusion {part['confusion']}, "
              f"AUC weighted for overlap {part['aucOverlapWeighted']}, "
              f"AUC of exposure and framing alone {part['aucNuisanceModel']}")
        for name, figure in part.items():
            if isinstance(figure, dict) and "ci95" in figure:
                low, high = figure["ci95"]
                print(f"  {name:12} {figure['value']:.4f} [{low:.4f}, {high:.4f}]")
        print("  AUC under " + ", ".join(f"{k}: {v:.4f}" for k, v in part["stressAuc"].items()))


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def publish(output, folder):
    """Evaluate model.onnx in the output folder and write its figures and manifest."""
    figures = compute(output / "model.onnx", folder)
    write_json(output / "figures.json", figures)
    write_json(output / "manifest.json", manifest(figures))
    report(figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default=data.default_folder(),
                        help="folder that holds pneumoniamnist.npz or cxr/pneumoniamnist.npz\n"
                             "(default: HEALTHVISION_TEST_DATA, or ../shared/data beside the repository)")
    parser.add_argument("--output", default=str(Path(__file__).resolve().parents[1]),
                        help="folder of model.onnx (default: the model's)")
    parser.add_argument("--check", action="store_true",
                        help="compare with figures.json instead of writing")
    options = parser.parse_args()
    output = Path(options.output)
    if not options.check:
        publish(output, options.data)
        return
    figures = compute(output / "model.onnx", options.data)
    report(figures)
    known = json.loads((output / "figures.json").read_text(encoding="utf-8"))
    difference = max(abs(known[s]["auc"]["value"] - figures[s]["auc"]["value"]) for s in ("val", "test"))
    same = known["model"]["sha256"] == figures["model"]["sha256"]
    print(f"same file: {same}; AUC differs from figures.json by at most {difference:.4f}")
    if not same or difference > 0.0005:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
