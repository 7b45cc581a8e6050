"""Makes resample.json with SimpleITK 2.5.7, scipy 1.17.1 and numpy 2.4.6; the tests read the JSON alone.

The volume is a formula that both sides compute; of every result a few voxels and the sum are kept.
"""
import json
import math
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

SIZE = (14, 11, 9)  # columns, rows, slices


def volume():
    k, j, i = np.meshgrid(*(np.arange(n) for n in SIZE[::-1]), indexing="ij")
    return (200 * np.sin(0.7 * i + 0.2) + 90 * np.cos(0.9 * j - 0.3 * k) + 15 * k + ((i * 7 + j * 5 + k * 3) % 11)).astype(np.float32)


def rotation(ax, ay, az):
    cx, sx, cy, sy, cz, sz = (f(a) for a in (ax, ay, az) for f in (math.cos, math.sin))
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return z @ y @ x


def image(array, spacing, origin, direction):
    result = sitk.GetImageFromArray(array)
    result.SetSpacing(spacing)
    result.SetOrigin(origin)
    result.SetDirection(direction.ravel().tolist())
    return result


def affine(spacing, origin, direction):
    return np.hstack([direction * np.array(spacing), np.array(origin).reshape(3, 1)]).tolist()


SOURCE = ((0.7, 0.9, 2.5), (-20.0, 13.0, -40.0), rotation(0.1, -0.2, 0.3))
TARGETS = {
    "finer": ((0.5, 0.5, 1.0), (-20.0, 13.0, -40.0), SOURCE[2], (20, 20, 22)),
    "beyond": ((0.6, 1.1, 1.7), tuple(np.array(SOURCE[1]) - SOURCE[2] @ np.array([1.3, 0.8, 2.1])), SOURCE[2], (18, 10, 14)),
    "turned": ((0.8, 0.8, 1.5), (-21.0, 12.0, -39.0), rotation(-0.15, 0.1, -0.2), (16, 14, 15)),
    "upside-down": ((0.7, 0.9, 1.2), tuple(np.array(SOURCE[1]) + SOURCE[2] @ np.array([9.1, 9.0, 20.0])), SOURCE[2] @ np.diag([-1, -1, -1.0]), (14, 11, 17)),
}
METHODS = {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "cubic-b-spline": sitk.sitkBSpline3, "lanczos": sitk.sitkLanczosWindowedSinc}

source = image(volume(), *SOURCE)
ones = image(np.ones_like(volume()), *SOURCE)
cases = []
for target, (spacing, origin, direction, size) in TARGETS.items():
    reference = image(np.zeros(size[::-1], np.float32), spacing, origin, direction)
    for name, method in METHODS.items():
        result = sitk.GetArrayFromImage(sitk.Resample(source, reference, sitk.Transform(), method, -1000.0, sitk.sitkFloat64))
        if name == "lanczos":
            # ITK's weights do not add up to 1; ours do.
            weights = sitk.GetArrayFromImage(sitk.Resample(ones, reference, sitk.Transform(), method, 1.0, sitk.sitkFloat64))
            result = np.where(result == -1000.0, result, result / weights)
        flat = result.ravel()
        at = list(range(0, flat.size, max(1, flat.size // 40)))
        cases.append({
            "target": target, "interpolation": name, "grid": {"size": size, "affine": affine(spacing, origin, direction)},
            "outside": int((flat == -1000.0).sum()), "mean": float(flat[flat != -1000.0].mean()), "samples": [[p, round(float(flat[p]), 5)] for p in at],
        })

line = volume()[4, 5]
coefficients = ndimage.spline_filter1d(line.astype(np.float64), 3, mode="mirror")
short = ndimage.spline_filter1d(np.array([3.0, -1.0, 4.0]), 3, mode="mirror")

reoriented = {}
for code in ("LPS", "RAS", "PIR", "SLA"):
    result = sitk.DICOMOrient(source, code)
    array = sitk.GetArrayFromImage(result).ravel()
    reoriented[code] = {
        "size": result.GetSize(), "affine": affine(result.GetSpacing(), result.GetOrigin(), np.array(result.GetDirection()).reshape(3, 3)),
        "samples": [[p, round(float(array[p]), 4)] for p in range(0, array.size, 97)],
    }

Path(__file__).with_name("resample.json").write_text(json.dumps({
    "source": {"size": SIZE, "affine": affine(*SOURCE)}, "cases": cases, "reoriented": reoriented,
    "spline": {"line": line.astype(float).tolist(), "coefficients": coefficients.tolist(), "short": short.tolist()},
}) + "\n")
