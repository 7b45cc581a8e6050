"""The real images, brought to one form: `[z, y, x]` at 1 mm, z to the head, y to the back, x to the left, cropped to SHAPE.

Sources (see MODEL_CARD.md): one glioma in four sequences with labels of three algorithms, one healthy head in T1.
"""
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

PRODUCT = Path(__file__).resolve().parent / "product.mjs"
SHAPE = (176, 208, 176)
CHANNELS = ("flair", "t1", "t1c", "t2")
DQE = {"flair": "t2f", "t1": "t1n", "t1c": "t1c", "t2": "t2w"}


def folder(given: str | None) -> Path:
    """--data, else HEALTHVISION_TEST_DATA, else ../shared/data beside the repository."""
    here = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    return Path(given or os.environ.get("HEALTHVISION_TEST_DATA") or here)


def read(path: Path | str) -> sitk.Image:
    return sitk.DICOMOrient(sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat32), "LPS")


def centred(volume: np.ndarray, centre: tuple[int, ...]) -> np.ndarray:
    """The part of SHAPE around a voxel, with zeros outside. [..., z, y, x]"""
    out = np.zeros(volume.shape[:-3] + SHAPE, volume.dtype)
    source, target = [], []
    for size, want, middle in zip(volume.shape[-3:], SHAPE, centre):
        start = middle - want // 2
        low, high = max(start, 0), min(start + want, size)
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    out[(..., *target)] = volume[(..., *source)]
    return out


def middle(mask: np.ndarray) -> tuple[int, ...]:
    """Of the bounding box."""
    return tuple(int(axis.min() + axis.max()) // 2 for axis in np.nonzero(mask))


def majority_labels(data: Path) -> np.ndarray:
    """Labels of the glioma, bool [3, z, y, x] (core, whole tumour, enhancing): where two of three algorithms agree."""
    votes = np.zeros((3, 155, 240, 240), np.int8)
    for name in ("seg-BraTS23_1", "seg-bratstoolkit_isen"):
        label = sitk.GetArrayFromImage(read(data / f"mri/brats_dqe/{name}.nii.gz")).round().astype(int)
        enhancing = np.isin(label, (3, 4))
        votes += np.stack([(label == 1) | enhancing, label > 0, enhancing])
    label = np.load(data / "mri/brats_dqe/dqe_pred_zyx_int16.npz")["pred"]
    votes += np.stack([np.isin(label, (1, 4)), label > 0, label == 4])
    return votes >= 2


def glioma(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [4, z, y, x] in the order of CHANNELS, zero outside of the brain; labels as majority_labels. Full grid."""
    images = np.stack([sitk.GetArrayFromImage(read(data / f"mri/brats_dqe/{DQE[name]}.nii.gz")) for name in CHANNELS])
    return images, majority_labels(data)


def healthy_head(data: Path) -> np.ndarray:
    """T1 of the healthy head, float32 [z, y, x] at 1 mm, free of the coils' field. Needs DCMTK's dcmdjpls."""
    with tempfile.TemporaryDirectory() as native:
        for path in sorted((data / "mri/brain_t1_dicom_fnndsc").glob("*.dcm")):
            subprocess.run(["dcmdjpls", str(path), f"{native}/{path.name}"], check=True, capture_output=True)
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(native)
        image = sitk.DICOMOrient(sitk.Cast(sitk.ReadImage(names), sitk.sitkFloat32), "LPS")
    size = [int(round(n * mm)) for n, mm in zip(image.GetSize(), image.GetSpacing())]
    image = sitk.Resample(image, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), (1.0, 1.0, 1.0), image.GetDirection(), 0.0)
    small = sitk.Shrink(image, [4, 4, 4])
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([20, 20, 20])
    corrector.Execute(small, sitk.OtsuThreshold(small, 0, 1, 200))
    field = sitk.Exp(corrector.GetLogBiasFieldAsImage(image))
    return sitk.GetArrayFromImage(image / field)


def strip(head: np.ndarray) -> np.ndarray:
    """The brain of a T1 at 1 mm, bool [z, y, x], as the product's own brain extraction finds it (product.mjs)."""
    with tempfile.TemporaryDirectory() as folder:
        write_case(folder, {"t1": head})
        product("strip", folder)
        return np.fromfile(f"{folder}/mask.u8", np.uint8).reshape(head.shape).astype(bool)


def write_case(folder: str | Path, volumes: dict[str, np.ndarray], affines: dict[str, list] | None = None) -> None:
    """Volumes float32 [z, y, x] as product.mjs reads them; 1 mm along left, back, head where no affine to LPS millimetres is given."""
    described = {}
    for role, volume in volumes.items():
        volume.astype("<f4").tofile(f"{folder}/{role}.f32")
        affine = (affines or {}).get(role, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
        described[role] = {"file": f"{role}.f32", "size": list(volume.shape[::-1]), "affine": affine}
    Path(f"{folder}/case.json").write_text(json.dumps({"volumes": described}), encoding="utf-8")


def product(*arguments: str | Path) -> dict | str:
    """One command of product.mjs; what it prints."""
    done = subprocess.run(["node", str(PRODUCT), *map(str, arguments)], capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


def read_case(folder: Path) -> tuple[np.ndarray, list]:
    """Images float32 [4, z, y, x] in the order of CHANNELS and the affine of their grid."""
    described = json.loads((folder / "case.json").read_text(encoding="utf-8"))["volumes"]
    size = described[CHANNELS[0]]["size"][::-1]
    return np.stack([np.fromfile(folder / described[name]["file"], "<f4").reshape(size) for name in CHANNELS]), described[CHANNELS[0]]["affine"]


@dataclass
class Sources:
    """What training images are made of, float32 [channels, *SHAPE], averaged over 2 mm cubes, so that sampling every 2 mm is averaging.

    head:     0 where T1 is as dark as CSF, 0.5 grey matter, 1 white matter; brain mask
    mirrored: CHANNELS over white matter's value, brain mask, white matter, CSF; the healthy half and its mirror image
    glioma:   CHANNELS over white matter's value, brain mask, core, whole tumour, enhancing
    """
    head: np.ndarray
    mirrored: np.ndarray
    glioma: np.ndarray


def boxed(volume: np.ndarray) -> np.ndarray:
    """Means over cubes of 2 mm, on every millimetre."""
    return np.stack([ndimage.uniform_filter(channel.astype(np.float32), 2) for channel in volume])


def levels(values: np.ndarray) -> np.ndarray:
    """Centres of three classes of brightness, ascending (k-means in one dimension)."""
    centres = np.percentile(values, [5, 40, 80])
    for _ in range(30):
        nearest = np.abs(values[:, None] - centres).argmin(1)
        centres = np.array([values[nearest == k].mean() for k in range(3)])
    return centres


def sources(data: Path, cache: Path | None = None) -> Sources:
    """Made once and kept in `cache` where one is named."""
    if cache is not None and cache.exists():
        kept = np.load(cache)
        return Sources(kept["head"], kept["mirrored"], kept["glioma"])
    head = healthy_head(data)
    brain = strip(head)
    csf, grey, white = levels(ndimage.gaussian_filter(head, 0.5)[ndimage.binary_erosion(brain, iterations=2)][::50])
    scaled = np.interp(head, [csf - (grey - csf), csf, grey, white, white + 2 * (white - grey)], [-0.5, 0, 0.5, 1, 2]).astype(np.float32)
    images, labels = glioma(data)
    mask = images.min(0) > 0
    # White matter of the healthy half: dark in T2, not dark in FLAIR.
    flair, t2 = images[0], images[3]
    healthy = mask & ~ndimage.binary_dilation(labels[1], iterations=15)
    dark, bright = np.percentile(t2[healthy], [30, 85])
    wm = healthy & (t2 < dark) & (flair > np.percentile(flair[healthy], 20))
    scales = np.array([np.median(channel[wm]) for channel in images])
    images = images / scales[:, None, None, None]
    csf_map = np.clip((images[3] - 2.0) / 1.5, 0, 1) * (images[0] < 0.8)
    wm_map = np.clip((1.6 - images[3]) / 0.5, 0, 1)
    centre = middle(mask)
    place = lambda *volumes: centred(boxed(np.concatenate(volumes)), centre)
    real = place(images, mask[None], labels)
    mirrored = mirror(np.concatenate([images, mask[None], wm_map[None], csf_map[None]]), labels[1])
    made = Sources(centred(boxed(np.stack([scaled, brain])), middle(brain)), centred(boxed(mirrored), centre), real)
    if cache is not None:
        np.savez(cache, head=made.head, mirrored=made.mirrored, glioma=made.glioma)
    return made


def mirror(volumes: np.ndarray, tumour: np.ndarray) -> np.ndarray:
    """A brain whose tumorous half is the mirror image of the other, joined over 5 mm at the plane of best symmetry. [c, z, y, x]"""
    mask = volumes[4] > 0
    columns = np.nonzero(tumour)[2]
    best, plane = max((float((volumes[3][..., ::2] * reflected(volumes[3], p)[..., ::2] * (np.abs(np.arange(mask.shape[2]) - p / 2) > 25)[::2]).sum()), p) for p in range(228, 252))
    other = reflected(volumes, plane)
    x = np.arange(mask.shape[2]) - plane / 2
    side = 1 if columns.mean() > plane / 2 else -1
    weight = np.clip(0.5 - side * (x + side * 2.5) / 5, 0, 1)
    return volumes * weight + other * (1 - weight)


def reflected(volume: np.ndarray, plane: int) -> np.ndarray:
    """x -> plane - x; zeros come in from outside."""
    index = plane - np.arange(volume.shape[-1])
    inside = (index >= 0) & (index < volume.shape[-1])
    return np.where(inside, volume[..., np.clip(index, 0, volume.shape[-1] - 1)], 0)
