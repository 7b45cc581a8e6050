#!/usr/bin/env python3
"""Compute every figure of the card from model.onnx and write figures.json and the manifest's figures; --check compares instead.

The network is run by onnxruntime; torch only makes the synthetic cases. --test opens the test case, once, at the end.
Two parts of figures.json need what does not ship, and are computed where the work folder has it: `syntheticOnly`
(synthetic.onnx, from export.py) and `test` (test/prepared, from test_case.py). Without it they stay as they are.
"""
import argparse
import hashlib
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import data
import inference
import synth
from inference import dice, hausdorff95, labels_of, open_model, predict, regions

HERE = Path(__file__).resolve().parent.parent
MODEL = HERE / "model.onnx"
VALIDATION_SEED, THRESHOLD_SEED, ALARM_SEED, ODD_SEED = 1_000_000, 1_100_000, 1_200_000, 1_300_000
CASES, PHANTOMS, HEALTHY, ALARMS, ODD = 64, 12, 12, 60, 10
NAMES = ("whole", "core", "enhancing")
SYNTHETIC = {"head": 0.6, "mirrored": 0.4}
USUAL = {"head": 0.5, "mirrored": 0.4, "phantom": 0.05, "coarse phantom": 0.05}
TOLERANCE = 0.01


def interval(values: list[float], figure=np.mean) -> dict:
    """Mean or another figure, with the 95 % interval of 2000 bootstrap samples of the cases."""
    values = np.array(values, float)
    draws = np.random.default_rng(1).integers(0, len(values), (2000, len(values)))
    low, high = np.percentile([figure(values[draw]) for draw in draws], [2.5, 97.5])
    return {"value": round(float(figure(values)), 4), "ci95": [round(float(low), 4), round(float(high), 4)], "n": len(values)}


def share(count: int, total: int) -> dict:
    """With Wilson's 95 % interval."""
    z, p = 1.96, count / total
    middle, half = p + z * z / (2 * total), z * np.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return {"value": round(p, 4), "ci95": [round(float((middle + sign * half) / (1 + z * z / total)), 4) for sign in (-1, 1)], "n": total}


def enlarged(images: torch.Tensor) -> np.ndarray:
    """A 2 mm window as the 1 mm window whose averages it is. [1, 4, 160, 192, 160]"""
    return images.numpy().repeat(2, 1).repeat(2, 2).repeat(2, 3)[None]


def reduced(logits: np.ndarray) -> np.ndarray:
    return logits.reshape(3, 80, 2, 96, 2, 80, 2).mean((2, 4, 6))


def compared(found: np.ndarray, wanted: dict[str, np.ndarray], mm: float) -> dict:
    """Dice, 95 % Hausdorff distance (mm) and volumes (ml) of one case by region."""
    out = {}
    for name, mask in regions(found).items():
        truth = wanted[name]
        out[name] = {"dice": dice(mask, truth), "hd95": hausdorff95(mask, truth, mm), "ml": float(mask.sum() * mm ** 3 / 1000), "truthMl": float(truth.sum() * mm ** 3 / 1000)}
    return out


def window_case(session, images: torch.Tensor, targets: torch.Tensor) -> dict:
    logits, _ = session.run(["logits", "strangeness"], {"image": enlarged(images)})
    truth = {"core": targets[0].numpy() >= 0.5, "whole": targets[1].numpy() >= 0.5, "enhancing": targets[2].numpy() >= 0.5}
    return compared(labels_of(reduced(logits[0]), 0.008), truth, 2.0)


def summary(cases: list[dict], least_ml: float = 0.5) -> dict:
    """Figures over cases, each region over the cases that have at least `least_ml` of it."""
    out = {}
    for name in NAMES:
        with_it = [case[name] for case in cases if case[name]["truthMl"] >= least_ml]
        if not with_it:
            continue
        distances = [c["hd95"] for c in with_it if c["hd95"] is not None]
        out[name] = {"dice": interval([c["dice"] for c in with_it]), "diceMedian": interval([c["dice"] for c in with_it], np.median),
                     "hd95Mm": interval(distances, np.median) if distances else None, "missed": sum(c["ml"] == 0 for c in with_it),
                     "volumeErrorMl": interval([abs(c["ml"] - c["truthMl"]) for c in with_it], np.median),
                     "volumeBiasMl": interval([c["ml"] - c["truthMl"] for c in with_it])}
    return out


def by_size(cases: list[dict]) -> dict:
    bounds = {"below 10 ml": (0.5, 10), "10 to 50 ml": (10, 50), "above 50 ml": (50, 1e9)}
    return {label: {name: {"dice": interval([c[name]["dice"] for c in group if c[name]["truthMl"] >= 0.5])} for name in NAMES if any(c[name]["truthMl"] >= 0.5 for c in group)}
            for label, (low, high) in bounds.items() if (group := [c for c in cases if low <= c["whole"]["truthMl"] < high])}


def volume_case(session, images: np.ndarray, wanted: dict[str, np.ndarray]) -> dict:
    began = time.time()
    logits, strangeness = predict(session, images)
    return {**compared(labels_of(logits), wanted, 1.0), "strangeness": round(strangeness, 3), "seconds": round(time.time() - began, 1)}


def real_case(session, folder: Path) -> dict:
    images, labels = data.glioma(folder)
    return volume_case(session, images, {"core": labels[0], "whole": labels[1], "enhancing": labels[2]})


def product_phantom(session, seed: int = 1) -> dict:
    """The product's own phantom after the product's own preparation, with the product's own truth."""
    with tempfile.TemporaryDirectory() as folder:
        data.product("phantom", folder, str(seed))
        prepared = Path(folder) / "prepared"
        images, _ = data.read_case(prepared)
        wanted = {name: np.fromfile(prepared / f"{name}.u8", np.uint8).reshape(images.shape[1:]).astype(bool) for name in NAMES}
    return volume_case(session, images, wanted)


def product_recipe(session, folder: Path) -> dict:
    """The product's recipe on the case of training: how many voxels it labels otherwise than inference.py, and what it takes."""
    images, _ = data.glioma(folder)
    with tempfile.TemporaryDirectory() as case:
        data.write_case(case, dict(zip(data.CHANNELS, images)))
        told = data.product("segment", case, HERE)
        labels = np.fromfile(f"{case}/labels.u8", np.uint8).reshape(images.shape[1:])
    return {"product": {"labelsThatDiffer": int((labels != labels_of(predict(session, images)[0])).sum()), "case": "mri/brats_dqe, product recipe against inference.py"},
            "speed": {"seconds": round(told["seconds"], 1), "peakMb": told["peakMb"],
                      "note": "the recipe alone, on two virtual cores that other work used too; registration and brain extraction of native series come on top"}}


def strangeness_of(session, images: torch.Tensor) -> float:
    return float(session.run(["strangeness"], {"image": enlarged(images)})[0][0, 0])


def odd(dice_: synth.Dice, images: torch.Tensor, kind: str) -> torch.Tensor:
    if kind == "noise":
        return dice_.normal(*images.shape) * (images != 0)
    if kind == "one sequence four times":
        return images[1:2].repeat(4, 1, 1, 1)
    if kind == "upside down":
        return images.flip(1)
    if kind == "sequences in wrong order":
        return images[[1, 3, 0, 2]]
    return -images


def strangeness(session, made: dict) -> dict:
    """The threshold from one set of seeds, the rate of false alarms from another, and what share of odd inputs is flagged."""
    usual = {seeds: [strangeness_of(session, synth.make(seeds + i, made, USUAL)[0]) for i in range(ALARMS)] for seeds in (THRESHOLD_SEED, ALARM_SEED)}
    threshold = round(float(np.quantile(usual[THRESHOLD_SEED], 0.95)), 3)
    flagged = {}
    for kind in ("noise", "one sequence four times", "upside down", "sequences in wrong order", "inverted"):
        values = [strangeness_of(session, odd(synth.Dice(i), synth.make(ODD_SEED + i, made, SYNTHETIC)[0], kind)) for i in range(ODD)]
        flagged[kind] = {**share(sum(v > threshold for v in values), ODD), "median": round(float(np.median(values)), 2)}
    return {"threshold": threshold, "median": round(float(np.median(usual[ALARM_SEED])), 3), "falseAlarms": share(sum(v > threshold for v in usual[ALARM_SEED]), ALARMS), "flagged": flagged}


def figures_of(session, folder: Path, work: Path) -> dict:
    made = synth.tensors(data.sources(folder, work / "sources.npz"))
    cases = [window_case(session, *synth.make(VALIDATION_SEED + i, made, SYNTHETIC)[:2]) for i in range(CASES)]
    tumours = [case for case in cases if case["whole"]["truthMl"] >= 0.5]
    phantoms = [window_case(session, *synth.make(VALIDATION_SEED + 5000 + i, made, {"phantom": 1})[:2]) for i in range(PHANTOMS)]
    healthy = [window_case(session, *synth.make(VALIDATION_SEED + 6000 + i, made, {"healthy": 1})[:2])["whole"]["ml"] for i in range(HEALTHY)]
    return {"synthetic": summary(tumours), "syntheticBySize": by_size(tumours), "phantomLike": summary(phantoms), "phantom": product_phantom(session),
            "healthy": {"falseVolumeMl": interval(healthy), "withAny": share(sum(ml > 0 for ml in healthy), HEALTHY)},
            "gliomaOfTraining": real_case(session, folder), "outOfDistribution": strangeness(session, made), **synthetic_only(folder, work),
            **product_recipe(session, folder), "file": {"megabytes": round(MODEL.stat().st_size / 1e6, 1)}}


def synthetic_only(folder: Path, work: Path) -> dict:
    """The case of training by the network that had not seen it, where the work folder has that."""
    path = work / "synthetic.onnx"
    if not path.exists():
        return {}
    return {"syntheticOnly": {"note": "synthetic.pt: the first 720 steps, which see only the healthy head and phantoms", **real_case(open_model(path), folder)}}


def test_case(session, work: Path) -> dict:
    images, _ = data.read_case(work / "test/prepared")
    labels = np.fromfile(work / "test/prepared/labels.u8", np.uint8).reshape(images.shape[1:])
    return volume_case(session, images, regions(labels))


def differences(old, new, at: str = "") -> list[str]:
    """Numbers that differ by more than the tolerance (relative above 1); times, memory and intervals are not compared."""
    if isinstance(old, dict):
        return [d for key in old if key not in ("seconds", "peakMb", "ci95") for d in differences(old[key], (new or {}).get(key), f"{at}/{key}")]
    if isinstance(old, (int, float)) and not (isinstance(new, (int, float)) and abs(old - new) <= TOLERANCE * max(1, abs(old))):
        return [f"{at}: {old} was expected, {new} found"]
    return []


def rewrite_manifest(figures: dict) -> None:
    path = HERE / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["files"] = [{"path": "model.onnx", "sha256": hashlib.sha256(MODEL.read_bytes()).hexdigest()}]
    labels = {"whole": "Whole tumour", "core": "Tumour core", "enhancing": "Enhancing tumour"}
    rows = [{"dataset": "made-up tumours", "split": "validation", "metric": "Dice", "label": labels[name], **figures["synthetic"][name]["dice"]} for name in NAMES]
    rows += [{"dataset": "TCGA-LGG FG6692, against brats17", "split": "test", "metric": "Dice", "label": labels[name], "value": round(figures["test"][name]["dice"], 4), "n": 1} for name in NAMES if "test" in figures]
    manifest["validation"] = rows
    alarms = figures["outOfDistribution"]
    manifest["outOfDistribution"] = {"output": "strangeness", "threshold": alarms["threshold"], "falseAlarmRate": alarms["falseAlarms"]["value"], "n": alarms["falseAlarms"]["n"]}
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--work", default="/tmp/brain-tumour-reference")
    parser.add_argument("--check", action="store_true", help="compare with figures.json; write nothing")
    parser.add_argument("--test", action="store_true", help="open the test case that test_case.py prepared, and add it to figures.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    work, path = Path(arguments.work), HERE / "figures.json"
    work.mkdir(parents=True, exist_ok=True)
    session, folder = open_model(MODEL), data.folder(arguments.data)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if arguments.test:
        known["test"] = test_case(session, work)
        path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        rewrite_manifest(known)
        print(json.dumps(known["test"], indent=1))
    elif arguments.check:
        found = figures_of(session, folder, work)
        if (work / "test/prepared/labels.u8").exists():
            found["test"] = test_case(session, work)
        absent = [key for key in ("syntheticOnly", "test") if key in known and key not in found]
        wrong = differences({key: value for key, value in known.items() if key not in absent}, found)
        if absent:
            print(f"not computed again, for the work folder lacks what they need: {', '.join(absent)}")
        print("\n".join(wrong) or f"every {'other ' if absent else ''}figure is as it was")
        raise SystemExit(1 if wrong else 0)
    else:
        figures = {**known, **figures_of(session, folder, work)}
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        rewrite_manifest(figures)
        print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
