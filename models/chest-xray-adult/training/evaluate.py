#!/usr/bin/env python3
"""Evaluate model.onnx on the test part with onnxruntime; write figures.json and manifest.json.

Everything that was chosen (calibration, thresholds, the limit of strangeness) was chosen
in training and stands under "development" in figures.json. With --check nothing is
written: the figures are computed anew from the shipped file and compared.
"""
import argparse
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime

import data
import metrics
import strange
from manifest import MEASURED, manifest

SIZE = 384
PUBLISHED = ("No Finding", "Infiltration", "Atelectasis", "Effusion", "Nodule", "Pneumothorax", "Mass", "Consolidation",
             "Pleural_Thickening", "Cardiomegaly", "Emphysema", "Fibrosis", "Edema", "Pneumonia", "Hernia")
COLUMNS = [data.FINDINGS.index(name) for name in MEASURED]
SIX = [data.FINDINGS.index(name) for name in data.SIX]
TOLERANCE = 0.002


def open_model(path: Path) -> onnxruntime.InferenceSession:
    """A session on one core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session, images: np.ndarray, batch: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities [n, 14] and strangeness [n] of prepared films [n, 1, 384, 384]."""
    parts = [session.run(["logits", "strangeness"], {"image": images[i:i + batch]}) for i in range(0, len(images), batch)]
    logits = np.concatenate([p[0] for p in parts]).astype(np.float64)
    return metrics.sigmoid(logits), np.concatenate([p[1][:, 0] for p in parts]).astype(np.float64)


def published_scores(path: Path, paths: list[Path]) -> np.ndarray:
    """Probabilities [n, 14] of the published network `nih15`, on the same films as the product prepares them for it."""
    session = open_model(path)
    images = np.stack([data.read_image(p, 224) for p in paths])
    logits = np.concatenate([session.run(None, {session.get_inputs()[0].name: ((images[i:i + 8] / 255 - 0.485) / 0.229).astype(np.float32)})[0]
                             for i in range(0, len(images), 8)]).astype(np.float64)
    softmax = np.exp(logits - logits.max(1, keepdims=True))
    softmax /= softmax.sum(1, keepdims=True)
    return softmax[:, [PUBLISHED.index(name) for name in data.FINDINGS]]


def compare(published: np.ndarray, probability: np.ndarray, labels: np.ndarray, resamples) -> dict:
    """AUC of the published network, and how much higher ours is on the same films."""
    def at(scores, columns, i):
        return metrics.mean_auc(scores, labels, columns) if i is None else metrics.mean_auc(scores[i], labels[i], columns)

    result = {name: metrics.with_interval(lambda i, c=[j]: at(published, c, i), resamples) for j, name in zip(COLUMNS, MEASURED)}
    for name, columns in (("meanOfSix", SIX), ("meanOfMeasured", COLUMNS)):
        result[name] = metrics.with_interval(lambda i, c=columns: at(published, c, i), resamples)
        result[f"{name}Difference"] = metrics.with_interval(lambda i, c=columns: at(probability, c, i) - at(published, c, i), resamples)
    return result


def subgroups(films: data.Collection, chosen: np.ndarray, probability, labels) -> list[dict]:
    """Mean AUC over the six, and over the measured findings, in parts of the test films."""
    age, sex, view = films.age[chosen], films.sex[chosen], films.view[chosen]
    groups = {"18 to 39 years": age < 40, "40 to 59 years": (age >= 40) & (age < 60), "60 years and over": age >= 60,
              "women": sex == "F", "men": sex == "M", "view PA": view == "PA", "view AP": view == "AP"}
    rows = []
    for name, inside in groups.items():
        place = np.flatnonzero(inside)
        # Resampled apart: the interval is that of a group of this size.
        draws = [place[i] for i in metrics.patient_resamples(films.patient[chosen][place])]
        row = {"group": name, "n": len(place)}
        for key, columns in (("meanOfSix", SIX), ("meanOfMeasured", COLUMNS)):
            row[key] = metrics.with_interval(lambda i, c=columns: metrics.mean_auc(probability[place if i is None else i], labels[place if i is None else i], c), draws)
        row["positivesOfSix"] = int(labels[place][:, SIX].sum())
        rows.append(row)
    return rows


def milliseconds(session, rounds: int = 15) -> float:
    image, times = np.random.RandomState(0).uniform(0, 255, (1, 1, SIZE, SIZE)).astype(np.float32), []
    for _ in range(rounds):
        start = time.perf_counter()
        session.run(None, {"image": image})
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e3)


def compute(path: Path, folder: str, development: dict, published: Path) -> dict:
    """All figures of the model file; `development` is what training chose."""
    session = open_model(path)
    films = data.Collection(folder)
    chosen = np.flatnonzero(films.test)
    labels, paths = films.labels[chosen], [films.paths[i] for i in chosen]
    images = np.stack([data.read_image(p, SIZE) for p in paths])
    probability, strangeness = run(session, images)
    resamples = metrics.patient_resamples(films.patient[chosen])
    test = {"n": len(chosen), "patients": len(set(films.patient[chosen])), "findings": {}}
    for name in MEASURED:
        j = data.FINDINGS.index(name)
        test["findings"][name] = metrics.summarise(probability[:, j], labels[:, j], development["findings"][name]["threshold"], resamples)
    for key, columns in (("meanOfSix", SIX), ("meanOfMeasured", COLUMNS)):
        test[key] = metrics.with_interval(
            lambda i, c=columns: metrics.mean_auc(probability if i is None else probability[i], labels if i is None else labels[i], c), resamples)
    test["subgroups"] = subgroups(films, chosen, probability, labels)
    if published.is_file():
        test["published"] = compare(published_scores(published, paths), probability, labels, resamples)
    limit = development["strangeness"]["threshold"]
    flagged = (strangeness > limit).astype(float)
    outside = {"falseAlarms": {**metrics.with_interval(lambda i: float((flagged if i is None else flagged[i]).mean()), resamples), "n": len(chosen)}, "flagged": []}
    for name, strangers in strange.inputs(folder, images, SIZE):
        _, distance = run(session, strangers)
        outside["flagged"].append({"input": name, "n": len(distance), "share": round(float((distance > limit).mean()), 4), "median": round(float(np.median(distance)), 3)})
    return {"model": {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "msPerImageOneCore": round(milliseconds(session))},
            "development": development, "test": test, "strangeness": outside}


def report(figures: dict):
    """Print the main figures."""
    model, test = figures["model"], figures["test"]
    print(f"model.onnx: {model['bytes']} bytes, {model['msPerImageOneCore']} ms per image on one core")
    show = lambda figure: f"{figure['value']:.4f} {figure['ci95']}"
    for name, finding in test["findings"].items():
        print(f"{name:20} " + ", ".join(f"{k} {show(finding[k])}" for k in ("auc", "sensitivity", "specificity", "brier", "ece")))
    for key in ("meanOfSix", "meanOfMeasured"):
        print(f"{key:20} {show(test[key])}" + (f", nih15 {show(test['published'][key])}" if "published" in test else ""))
    print("false alarms of strangeness", show(figures["strangeness"]["falseAlarms"]))
    for row in figures["strangeness"]["flagged"]:
        print(f"  {row['input']:60} {row['n']:4} {row['share']:.3f} flagged, median {row['median']}")


def write_json(path: Path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def publish(output: Path, folder: str, development: dict, published: Path):
    """Evaluate model.onnx in the output folder and write its figures and manifest."""
    figures = compute(output / "model.onnx", folder, development, published)
    write_json(output / "figures.json", figures)
    write_json(output / "manifest.json", manifest(figures))
    report(figures)


def leaves(value, path=()):
    """Every number of nested figures with the path to it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, str(key)))
    if isinstance(value, (int, float)):
        yield "/".join(path), float(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default=data.default_folder(),
                        help="folder that holds cxr/nih (and, for strange inputs, ct and mri)\n"
                             "(default: HEALTHVISION_TEST_DATA, or ../shared/data beside the repository)")
    parser.add_argument("--published", default=None, help="nih15_mobilenetv3s_int8.onnx, to compare with\n(default: models/cxr-eval beside the data folder)")
    parser.add_argument("--output", default=str(Path(__file__).resolve().parents[1]), help="folder of model.onnx (default: the model's)")
    parser.add_argument("--check", action="store_true", help="compare with figures.json instead of writing")
    options = parser.parse_args()
    output = Path(options.output)
    published = published_file(options.data, options.published)
    known = json.loads((output / "figures.json").read_text(encoding="utf-8"))
    if not options.check:
        publish(output, options.data, known["development"], published)
        return
    figures = compute(output / "model.onnx", options.data, known["development"], published)
    report(figures)
    before, now = dict(leaves(known["test"])), dict(leaves(figures["test"]))
    common = before.keys() & now.keys()
    worst = max(common, key=lambda place: abs(before[place] - now[place]))
    same = known["model"]["sha256"] == figures["model"]["sha256"]
    print(f"same file: {same}; {len(common)} of {len(before)} figures compared, the largest difference is {abs(before[worst] - now[worst]):.4f} ({worst})")
    if not same or abs(before[worst] - now[worst]) > TOLERANCE:
        raise SystemExit(1)


def published_file(folder: str, given: str | None) -> Path:
    return Path(given) if given else Path(folder).parent / "models" / "cxr-eval" / "nih15_mobilenetv3s_int8.onnx"


if __name__ == "__main__":
    main()
