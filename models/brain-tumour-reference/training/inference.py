"""What the product does with the file and four prepared images, with onnxruntime and numpy alone."""
from pathlib import Path

import numpy as np
import onnxruntime
from scipy import ndimage

WINDOW = (160, 192, 160)
OVERLAP = 0.25
SIGMA_SCALE = 0.125
CORE, WHOLE, ENHANCING = 0, 1, 2
LEAST_ML = 0.5


def open_model(path: Path | str, threads: int = 2) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def z_scored(images: np.ndarray) -> np.ndarray:
    """Each channel over its voxels that are not 0, which stay 0. [4, z, y, x]"""
    out = np.zeros(images.shape, np.float32)
    for channel, image in enumerate(images):
        inside = image != 0
        if inside.any():
            values = image[inside].astype(np.float64)
            out[channel][inside] = (values - values.mean()) / (values.std() or 1)
    return out


def starts(length: int, window: int) -> list[int]:
    step, out = max(int(window * (1 - OVERLAP)), 1), []
    for start in range(0, length, step):
        out.append(min(start, length - window))
        if start + window >= length:
            break
    return out


def importance() -> np.ndarray:
    bells = [np.exp(-(np.arange(n) - (n - 1) / 2) ** 2 / (2 * (n * SIGMA_SCALE) ** 2)) for n in WINDOW]
    bell = (bells[0][:, None, None] * bells[1][:, None] * bells[2]).astype(np.float32)
    return np.maximum(bell, max(bell.min(), 1e-3))


def predict(session: onnxruntime.InferenceSession, images: np.ndarray) -> tuple[np.ndarray, float]:
    """Logits float32 [3, z, y, x] (core, whole, enhancing) and the median strangeness of images [4, z, y, x] at 1 mm, zero around the brain."""
    box = ndimage.find_objects((images != 0).any(0).astype(np.uint8))[0] if images.any() else tuple(slice(0, n) for n in images.shape[1:])
    cut = z_scored(images)[(slice(None), *box)]
    size = cut.shape[1:]
    missing = [max(want - n, 0) for want, n in zip(WINDOW, size)]
    padding = [(m // 2, m - m // 2) for m in missing]
    padded = np.pad(cut, [(0, 0), *padding])
    total, weight, strange = np.zeros((3, *padded.shape[1:]), np.float32), np.zeros(padded.shape[1:], np.float32), []
    bell = importance()
    for z in starts(padded.shape[1], WINDOW[0]):
        for y in starts(padded.shape[2], WINDOW[1]):
            for x in starts(padded.shape[3], WINDOW[2]):
                part = (slice(z, z + WINDOW[0]), slice(y, y + WINDOW[1]), slice(x, x + WINDOW[2]))
                logits, strangeness = session.run(["logits", "strangeness"], {"image": np.ascontiguousarray(padded[(slice(None), *part)][None])})
                total[(slice(None), *part)] += logits[0] * bell
                weight[part] += bell
                strange.append(float(strangeness[0, 0]))
    inner = tuple(slice(before, before + n) for (before, _), n in zip(padding, size))
    out = np.full((3, *images.shape[1:]), -20, np.float32)
    out[(slice(None), *box)] = (total / weight)[(slice(None), *inner)]
    return out, float(np.median(strange))


def labels_of(logits: np.ndarray, voxel_ml: float = 0.001) -> np.ndarray:
    """Labels as the product reports them: 4 enhancing, 1 core, 2 oedema; parts of the whole tumour below LEAST_ML are dropped."""
    labels = np.where(logits[ENHANCING] >= 0, 4, np.where(logits[CORE] >= 0, 1, np.where(logits[WHOLE] >= 0, 2, 0))).astype(np.uint8)
    parts, count = ndimage.label(labels, ndimage.generate_binary_structure(3, 2))
    if count:
        small = np.bincount(parts.ravel())[:count + 1] * voxel_ml < LEAST_ML
        small[0] = False
        labels[small[parts]] = 0
    return labels


def regions(labels: np.ndarray) -> dict[str, np.ndarray]:
    return {"whole": labels > 0, "core": (labels == 1) | (labels == 4), "enhancing": labels == 4}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    both = a.sum() + b.sum()
    return float(2 * (a & b).sum() / both) if both else 1.0


def hausdorff95(a: np.ndarray, b: np.ndarray, mm: float) -> float | None:
    """95th percentile of the distances between the surfaces, both ways; None where one is empty."""
    if not a.any() or not b.any():
        return None
    box = ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = np.pad(a[box], 1), np.pad(b[box], 1)
    surface = [mask & ~ndimage.binary_erosion(mask) for mask in (a, b)]
    far = [ndimage.distance_transform_edt(~other)[one] for one, other in (surface, surface[::-1])]
    return float(max(np.percentile(far[0], 95), np.percentile(far[1], 95)) * mm)
