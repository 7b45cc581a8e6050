"""Rigid registrations of the native TCGA case by SimpleITK: T1c is the fixed image. Writes registration.json beside this script.

    python registration.py ../../../../shared/data/mri/tcga_fg6692_native

A point of the fixed image, LPS millimetres, goes to the moving image by rows [xx, xy, xz, t]. SimpleITK 2.x; single-threaded and seeded.
"""
import json
import sys
from pathlib import Path

import SimpleITK as sitk

sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
folder = Path(sys.argv[1])
fixed = sitk.ReadImage(str(folder / "t1c.nii.gz"), sitk.sitkFloat32)
maps = {}
for name in ("t1", "t2", "fla"):
    moving = sitk.ReadImage(str(folder / f"{name}.nii.gz"), sitk.sitkFloat32)
    initial = sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.1, 42)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 300, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 1])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(initial, inPlace=False)
    found = method.Execute(fixed, moving)
    origin = found.TransformPoint((0.0, 0.0, 0.0))
    columns = [[b - a for a, b in zip(origin, found.TransformPoint(tuple(float(i == j) for j in range(3))))] for i in range(3)]
    maps[name] = [[round(columns[c][r], 8) for c in range(3)] + [round(origin[r], 6)] for r in range(3)]
Path(__file__).with_name("registration.json").write_text(json.dumps({"simpleitk": sitk.Version_VersionString(), "maps": maps}, indent=1) + "\n")
