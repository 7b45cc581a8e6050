#!/usr/bin/env python3
"""Show what the model does outside its domain: mostly adult films of NIH ChestX-ray14.

Reads the folder cxr/nih (384 px PNG files and labels.csv with the NIH columns), prepares
each image as the product does (centre square, area resize to 28 px) and sets the images
labelled pneumonia, consolidation or infiltration against those without a finding. The
NIH labels are text-mined and noisy; the figures show unfitness, they measure nothing else.
"""
import argparse
import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

import data
import evaluate

POSITIVE = {"Pneumonia", "Consolidation", "Infiltration"}


def read_image(path):
    """A grey image as float32 [1, 28, 28] in [0, 1]: centre square, area resize."""
    image = Image.open(path).convert("L")
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    image = image.crop((left, top, left + short, top + short)).resize((28, 28), Image.BOX)
    return np.asarray(image, np.float32)[None] / 255


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default=data.default_folder(), help="folder that holds cxr/nih")
    parser.add_argument("--output", default=str(Path(__file__).resolve().parents[1]),
                        help="folder of model.onnx and manifest.json (default: the model's)")
    options = parser.parse_args()
    folder, output = Path(options.data) / "cxr" / "nih", Path(options.output)
    described = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    line = described["postprocessing"]["calibration"]
    threshold = described["labels"][0]["threshold"]

    images, labels = [], []
    with open(folder / "labels.csv", newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            findings = set(row["Finding Labels"].split("|"))
            if int(row["Patient Age"]) < 18 or not (findings & POSITIVE or findings == {"No Finding"}):
                continue
            images.append(read_image(folder / "images" / row["Image Index"]))
            labels.append(int(bool(findings & POSITIVE)))
    labels = np.array(labels)
    logits = evaluate.run(evaluate.open_model(output / "model.onnx"), np.stack(images))
    probability = evaluate.sigmoid(line["slope"] * logits + line["intercept"])
    called = probability >= threshold
    print(f"adults: {labels.sum()} with pneumonia, consolidation or infiltration, "
          f"{(labels == 0).sum()} without a finding")
    print(f"AUC {evaluate.auc(logits, labels):.4f}, sensitivity {called[labels == 1].mean():.4f}, "
          f"specificity {(~called[labels == 0]).mean():.4f}")


if __name__ == "__main__":
    main()
