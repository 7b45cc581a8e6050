"""Inputs that the model was not made for, to see how many of them the strangeness flags."""
from pathlib import Path

import numpy as np

import data

COUNT = 40


def _spread(items, count: int = COUNT):
    """At most `count` of a sequence, evenly spread."""
    items = list(items)
    if len(items) <= count:
        return items
    return [items[int(k)] for k in np.linspace(0, len(items) - 1, count)]


def _grey(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0, 1) * 255


def _prepare(images, size: int) -> np.ndarray:
    return np.stack([data.resize(np.asarray(image, np.float64), size).astype(np.float32)[None] for image in images])


def _volume(path: Path) -> np.ndarray:
    """Voxels [z, y, x] of a NIfTI file or of the largest DICOM series below a folder."""
    import SimpleITK as sitk  # Only here: the other checks need no DICOM reader.
    if path.is_file():
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    best: list[str] = []
    for folder in [path, *(p for p in path.rglob("*") if p.is_dir())]:
        for series in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)):
            files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series)
            best = files if len(files) > len(best) else best
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(best)
    return sitk.GetArrayFromImage(reader.Execute())


def _brain_slices(volume: np.ndarray):
    """The slices with something on them, from black to their volume's 99.5th percentile."""
    high = np.percentile(volume, 99.5)
    return [_grey(s, 0, high) for s in _spread([s for s in volume if (s > 0.1 * high).mean() > 0.1])]


def inputs(folder: str, films: np.ndarray, size: int):
    """Yield (name, images [n, 1, size, size] in [0, 255]); `films` are the test films, prepared."""
    root, random = Path(folder), np.random.RandomState(0)
    yield "films inverted", 255 - films
    yield "films rotated by 90 degrees", np.ascontiguousarray(np.rot90(films, 1, (2, 3)))
    yield "films upside down", np.ascontiguousarray(films[:, :, ::-1])
    yield "films, the centre ninth alone", _prepare([f[0, size // 3:2 * size // 3, size // 3:2 * size // 3] for f in films], size)
    yield "noise, white", random.uniform(0, 255, (COUNT, 1, size, size)).astype(np.float32)
    yield "noise, smooth", _prepare(random.uniform(0, 255, (COUNT, 12, 12)), size)
    yield "one grey", np.stack([np.full((1, size, size), g, np.float32) for g in np.linspace(0, 255, 16)])
    archive = root / "cxr" / "pneumoniamnist.npz"
    if archive.is_file():
        children = np.load(archive)["test_images"]
        yield "children's films of 28 x 28 pixels, scaled up", _prepare(_spread(children), size)
    ct = root / "ct"
    for name in ("LIDC-IDRI-0001", "LIDC-IDRI-0002"):
        if (ct / name).is_dir():
            slices = _spread(_volume(ct / name).astype(np.float32))
            yield f"axial CT slices of {name}, lung window", _prepare([_grey(s, -1350, 150) for s in slices], size)
            yield f"axial CT slices of {name}, soft-tissue window", _prepare([_grey(s, -160, 240) for s in slices], size)
    healthy = root / "mri" / "brain_t1_dicom_fnndsc"
    if healthy.is_dir():
        yield "sagittal brain MR slices, T1", _prepare(_brain_slices(_volume(healthy).astype(np.float32)), size)
    for path in sorted((root / "mri" / "brats_dqe").glob("*.nii.gz")):
        if "seg" not in path.name.lower():
            sequence = path.name.split(".")[0].replace("_", " ")
            yield f"axial brain MR slices, stripped, {sequence}", _prepare(_brain_slices(_volume(path).astype(np.float32)), size)
