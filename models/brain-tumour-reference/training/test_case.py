#!/usr/bin/env python3
"""Prepare the test case with the product's own steps and segment it with the published cascade brats17. Looks at nothing.

The cascade's labels are another algorithm's, not manual ones: what is measured against them is agreement, not truth.
"""
import argparse
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

import data

NATIVE = {"flair": "fla", "t1": "t1", "t1c": "t1c", "t2": "t2"}


def affine_of(image: sitk.Image) -> list[list[float]]:
    """Three rows, index to LPS millimetres."""
    direction = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    return np.column_stack([direction, image.GetOrigin()]).tolist()


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


if __name__ == "__main__":
    main()
