"""The product's recipe `retinanet-3d` in numpy: resample, windows, blended heads, boxes, suppression. Every number is the manifest's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from samples import normalise, resample

Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
WINDOW = (160, 160, 96)
OVERLAP = 0.125
SIGMA = 0.25
DIVISOR = 16
STRIDE, ANCHOR = 4, 8
NMS_IOU = 0.1
TOP = 300


@dataclass
class Found:
    """Boxes best first [n, 6] and centres [n, 3], index coordinates at 1.25 mm; scores [n]; strangeness of each window."""

    boxes: np.ndarray
    scores: np.ndarray
    strangeness: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        return (self.boxes[:, :3] + self.boxes[:, 3:]) / 2


def detect(hu: np.ndarray, run: Run, threshold: float, most: int, spacing: np.ndarray | None = None) -> Found:
    """hu [x, y, z] at `spacing` mm (None: at the network's); run takes windows [1, 1, x, y, z]."""
    image = normalise(hu if spacing is None else resample(hu.astype(np.float32), spacing))
    logits, codes, strange = blend(image, run)
    cells = np.argwhere(logits > np.log(threshold / (1 - threshold)))
    if len(cells) == 0:
        return Found(np.zeros((0, 6)), np.zeros(0), strange)
    scores = 1 / (1 + np.exp(-logits[tuple(cells.T)].astype(float)))
    # Ties keep the product's order: planes along the last axis come first.
    order = np.lexsort((cells[:, 1], cells[:, 0], cells[:, 2], -scores))[:TOP]
    cells, scores = cells[order], scores[order]
    code = codes[:, cells[:, 0], cells[:, 1], cells[:, 2]].T.astype(float)
    centre = cells * STRIDE + STRIDE // 2 + code[:, :3] * ANCHOR
    half = np.exp(np.minimum(code[:, 3:], np.log(1000 / 16))) * ANCHOR / 2
    boxes = np.concatenate([np.clip(centre - half, 0, image.shape), np.clip(centre + half, 0, image.shape)], 1)
    good = np.all(boxes[:, 3:] >= boxes[:, :3] + 1, 1)
    boxes, scores = boxes[good], scores[good]
    kept = suppress(boxes, most)
    return Found(boxes[kept], scores[kept], strange)


def blend(image: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits [x, y, z] and codes [6, x, y, z] at every fourth voxel, and the strangeness of each window."""
    size = [-(-n // DIVISOR) * DIVISOR for n in image.shape]
    padded = [max(n, w) for n, w in zip(size, WINDOW)]
    before = [(p - n) // 2 for p, n in zip(padded, size)]
    whole = np.zeros(padded, np.float32)
    whole[tuple(slice(b, b + n) for b, n in zip(before, image.shape))] = image
    total = np.zeros((7, *(p // STRIDE for p in padded)), np.float32)
    weights = np.zeros(total.shape[1:], np.float32)
    bell = importance()
    strange = []
    for start in starts(padded):
        window = whole[tuple(slice(s, s + w) for s, w in zip(start, WINDOW))]
        logits, codes, strangeness = run(np.ascontiguousarray(window[None, None]))
        at = tuple(slice(s // STRIDE, (s + w) // STRIDE) for s, w in zip(start, WINDOW))
        total[(slice(None), *at)] += np.concatenate([logits[0], codes[0]]) * bell
        weights[at] += bell
        strange.append(float(strangeness.ravel()[0]))
    total /= weights
    total = total[(slice(None), *(slice(b // STRIDE, (b + n) // STRIDE) for b, n in zip(before, size)))]
    return total[0], total[1:], np.array(strange)


def starts(padded: list[int]) -> list[tuple[int, ...]]:
    axes = []
    for length, size in zip(padded, WINDOW):
        step, found, start = int(size * (1 - OVERLAP)), [], 0
        while True:
            found.append(min(start, length - size))
            if start + size >= length:
                break
            start += step
        axes.append(found)
    return [(x, y, z) for z in axes[2] for x in axes[0] for y in axes[1]]


def importance() -> np.ndarray:
    """Gaussian over the window, at every fourth voxel (nearest-exact), never below the least over the corner nor 0.001."""
    bells = [np.exp(-((np.arange(n) - (n - 1) / 2) ** 2) / (2 * (n * SIGMA) ** 2)).astype(np.float32) for n in WINDOW]
    full = bells[0][:, None, None] * bells[1][None, :, None] * bells[2][None, None, :]
    full = np.maximum(full, max(float(full.min()), 1e-3))
    return full[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]


def suppress(boxes: np.ndarray, most: int) -> list[int]:
    """Greedy; boxes come best first."""
    volume = np.prod(boxes[:, 3:] - boxes[:, :3], 1)
    kept: list[int] = []
    for n in range(len(boxes)):
        if len(kept) >= most:
            break
        if kept:
            common = np.prod(np.clip(np.minimum(boxes[kept, 3:], boxes[n, 3:]) - np.maximum(boxes[kept, :3], boxes[n, :3]), 0, None), 1)
            if np.any(common / (volume[kept] + volume[n] - common) > NMS_IOU):
                continue
        kept.append(n)
    return kept
