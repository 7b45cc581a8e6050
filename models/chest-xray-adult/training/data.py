#!/usr/bin/env python3
"""The adults of NIH ChestX-ray14: reading the images, the split by patient, and the folds.

As a program it copies the test part into a folder that `healthvision evaluate` reads.
"""
import argparse
import csv
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

FINDINGS = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis",
            "Hernia", "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax")
SIX = ("Effusion", "Cardiomegaly", "Atelectasis", "Infiltration", "Consolidation", "Pneumothorax")
ADULT = 18
TEST_SHARE = 1 / 3
FOLDS = 5
LABELS_SHA256 = "47bee4c5c192f5261c81c9379e0727a7ead691a6f4aa6939dd10f23bab0a69f1"
REPOSITORY = Path(__file__).resolve().parents[3]


def default_folder() -> str:
    """The data folder: HEALTHVISION_TEST_DATA, or ../shared/data beside the repository."""
    return os.environ.get("HEALTHVISION_TEST_DATA") or str(REPOSITORY.parent / "shared" / "data")


def _order(patient: str) -> str:
    return hashlib.sha256(f"chest-xray-adult/{patient}".encode()).hexdigest()


class Collection:
    """The adults' films: paths, findings [n, 14], age in years, sex, view, split and fold.

    The split is by patient. Patients are grouped by their rarest finding, so that every
    part gets its share of each, and in a group the hash of the patient number decides:
    the first third are the test part, the others go to the five folds in turn.
    """

    def __init__(self, folder: str):
        root = Path(folder) / "cxr" / "nih"
        table = root / "labels.csv"
        if not table.is_file():
            raise SystemExit(f"there is no cxr/nih/labels.csv in {folder}")
        digest = hashlib.sha256(table.read_bytes()).hexdigest()
        if digest != LABELS_SHA256:
            print(f"warning: labels.csv has sha256 {digest}, the figures are for {LABELS_SHA256}")
        with open(table, newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.DictReader(lines) if int(row["Patient Age"]) >= ADULT]
        rows.sort(key=lambda row: row["Image Index"])
        self.paths = [root / "images" / row["Image Index"] for row in rows]
        found = [set(row["Finding Labels"].split("|")) for row in rows]
        self.labels = np.array([[name in names for name in FINDINGS] for names in found], np.float32)
        self.patient = np.array([row["Patient ID"] for row in rows])
        self.age = np.array([int(row["Patient Age"]) for row in rows])
        self.sex = np.array([row["Patient Gender"] for row in rows])
        self.view = np.array([row["View Position"] for row in rows])
        self.test, self.fold = self._split(found)

    def _split(self, found):
        count = {name: sum(name in names for names in found) for name in {n for names in found for n in names}}
        groups: dict[str, dict[str, list[int]]] = {}
        of_patient: dict[str, list[int]] = {}
        for i, patient in enumerate(self.patient):
            of_patient.setdefault(patient, []).append(i)
        for patient, images in of_patient.items():
            rarest = min({n for i in images for n in found[i]}, key=lambda name: (count[name], name))
            groups.setdefault(rarest, {})[patient] = images
        test, fold, turn = np.zeros(len(found), bool), np.full(len(found), -1), 0
        for name in sorted(groups):
            patients = sorted(groups[name], key=_order)
            cut = int(len(patients) * TEST_SHARE + 0.5)
            for place, patient in enumerate(patients):
                for i in groups[name][patient]:
                    test[i] = place < cut
                    fold[i] = -1 if place < cut else turn
                turn = (turn + (place >= cut)) % FOLDS
        return test, fold


def area_matrix(source: int, target: int) -> np.ndarray:
    """Weights [target, source] that average exactly what a target pixel covers (target <= source)."""
    edges = np.arange(target + 1) * source / target
    pixels = np.arange(source)
    cover = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(cover, 0, None) * target / source


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """A grey image [h, w] as [size, size]: area averages where an axis shrinks, else bilinear."""
    for axis in (0, 1):
        source = image.shape[axis]
        if source > size:
            image = np.moveaxis(np.tensordot(area_matrix(source, size), image, (1, axis)), 0, axis)
        elif source < size:
            at = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
            low = np.minimum(at.astype(int), max(source - 2, 0))
            part = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
            image = np.take(image, low, axis) * (1 - part) + np.take(image, np.minimum(low + 1, source - 1), axis) * part
    return image


def read_image(path: Path, size: int) -> np.ndarray:
    """A grey image as float32 [1, size, size] in [0, 255]: the whole image, as the product prepares it."""
    return resize(np.asarray(Image.open(path).convert("L"), np.float64), size).astype(np.float32)[None]


def copy_test_part(films: Collection, output: Path):
    """The test part's images and a labels.csv of them, in a folder of its own."""
    output.mkdir(parents=True, exist_ok=True)
    with open(output / "labels.csv", "w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines)
        table.writerow(["file", "labels", "patient", "age", "sex", "view"])
        for i in range(len(films.paths)):
            if films.test[i]:
                shutil.copy(films.paths[i], output)
                shown = "|".join(name for name, there in zip(FINDINGS, films.labels[i]) if there)
                table.writerow([films.paths[i].name, shown, films.patient[i], films.age[i], films.sex[i], films.view[i]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", help="the folder to write")
    parser.add_argument("--data", default=default_folder(), help="folder that holds cxr/nih (default: HEALTHVISION_TEST_DATA, or ../shared/data beside the repository)")
    options = parser.parse_args()
    copy_test_part(Collection(options.data), Path(options.output))


if __name__ == "__main__":
    main()
