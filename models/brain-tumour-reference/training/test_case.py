#!/usr/bin/env python3
"""Prepare the test case with the product's own steps and segment it with the published cascade brats17. Looks at nothing.

The cascade's labels are another algorithm's, not manual ones: what is measured against them is agreement, not truth.
The same case is written as a DICOM study with a label map beside it, for `healthvision evaluate`.
"""
import argparse
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

import data

NATIVE = {"flair": "fla", "t1": "t1", "t1c": "t1c", "t2": "t2"}
# What a scanner would say of each sequence, which the NIfTI files do not.
SEQUENCES = {"flair": {"0008|103e": "FLAIR", "0018|0020": "SE\\IR", "0018|0080": "9000", "0018|0081": "120", "0018|0082": "2500"},
             "t1": {"0008|103e": "T1", "0018|0020": "SE", "0018|0080": "600", "0018|0081": "12"},
             "t1c": {"0008|103e": "T1 with contrast", "0018|0020": "SE", "0018|0080": "600", "0018|0081": "12", "0018|0010": "GADOLINIUM"},
             "t2": {"0008|103e": "T2", "0018|0020": "SE", "0018|0080": "4500", "0018|0081": "100"}}
# A root for UIDs that nobody is given.
STUDY_UID = "2.25.20816734011990046"


def affine_of(image: sitk.Image) -> list[list[float]]:
    """Three rows, index to LPS millimetres."""
    direction = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    return np.column_stack([direction, image.GetOrigin()]).tolist()


def write_study(images: dict[str, sitk.Image], folder: Path) -> None:
    """One MR series for each sequence, as int16."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for series, (role, image) in enumerate(images.items(), 1):
        image = sitk.Cast(image, sitk.sitkInt16)
        axes = np.array(image.GetDirection()).reshape(3, 3).T
        common = {"0008|0060": "MR", "0008|0016": "1.2.840.10008.5.1.4.1.1.4", "0010|0020": "FG6692", "0010|0010": "FG6692", "0018|0015": "BRAIN",
                  "0020|000d": STUDY_UID, "0020|000e": f"{STUDY_UID}.{series}", "0020|0052": f"{STUDY_UID}.9", "0020|0011": str(series),
                  "0018|0050": f"{image.GetSpacing()[2]:.6f}", "0020|0037": "\\".join(f"{n:.9f}" for n in axes[:2].ravel()), **SEQUENCES[role]}
        for number in range(image.GetSize()[2]):
            piece = image[:, :, number]
            place = image.TransformIndexToPhysicalPoint((0, 0, number))
            for tag, value in {**common, "0008|0018": f"{STUDY_UID}.{series}.{number + 1}", "0020|0013": str(number + 1), "0020|0032": "\\".join(f"{n:.6f}" for n in place)}.items():
                piece.SetMetaData(tag, value)
            writer.SetFileName(str(folder / f"{role}-{number + 1:03}.dcm"))
            writer.Execute(piece)


def label_map(prepared: Path) -> sitk.Image:
    """The cascade's label map on the grid that the product prepared."""
    images, affine = data.read_case(prepared)
    matrix = np.array(affine)
    spacing = np.linalg.norm(matrix[:, :3], axis=0)
    labels = sitk.GetImageFromArray(np.fromfile(prepared / "labels.u8", np.uint8).reshape(images.shape[1:]))
    labels.SetSpacing(spacing.tolist())
    labels.SetDirection((matrix[:, :3] / spacing).ravel().tolist())
    labels.SetOrigin(matrix[:, 3].tolist())
    return labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--work", default="/tmp/brain-tumour-reference")
    parser.add_argument("--weights", help="folder of the cascade's networks (default ../shared/models/brats17 beside the repository)")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parents[3]
    weights = arguments.weights or root.parent / "shared/models/brats17"
    folder = Path(arguments.work) / "test"
    os.makedirs(folder, exist_ok=True)
    images = {role: sitk.ReadImage(str(data.folder(arguments.data) / f"mri/tcga_fg6692_native/{name}.nii.gz"), sitk.sitkFloat32) for role, name in NATIVE.items()}
    data.write_case(folder, {role: sitk.GetArrayFromImage(image) for role, image in images.items()}, {role: affine_of(image) for role, image in images.items()})
    print(data.product("prepare", folder))
    print(data.product("segment", folder / "prepared", root / "test/model-packs/brats17", weights)["seconds"], "s")
    write_study(images, folder / "study")
    sitk.WriteImage(label_map(folder / "prepared"), str(folder / "study/seg.nii.gz"))


if __name__ == "__main__":
    main()
