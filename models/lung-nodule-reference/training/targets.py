"""What the network is to say at each cell, and the loss. Cells lie at voxels 4 i + 2 of the crop."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from network import ANCHOR, STRIDE
from samples import SPACING, Sample

SMALLEST_MM = 3.5


def targets(sample: Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """wanted: 1 at nodules, 0 elsewhere; weight of the cell in the classification; codes [6, …]; weight of the cell in the regression."""
    grid = tuple(n // STRIDE for n in sample.hu.shape)
    x, y, z = ((np.arange(n) * STRIDE + STRIDE / 2) * SPACING for n in grid)
    wanted, weight = np.zeros(grid, np.float32), np.ones(grid, np.float32)
    codes, boxed = np.zeros((6, *grid), np.float32), np.zeros(grid, np.float32)
    if sample.trusted is not None:
        weight *= sample.trusted[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]

    def away(centre: np.ndarray) -> np.ndarray:
        return np.sqrt((x - centre[0])[:, None, None] ** 2 + (y - centre[1])[None, :, None] ** 2 + (z - centre[2])[None, None, :] ** 2)

    for centre, radius in sample.ignored:
        weight[away(centre) < radius] = 0
    for nodule in sorted(sample.nodules, key=lambda n: -n.diameter):
        distance, size = away(nodule.centre), nodule.diameter
        if size < SMALLEST_MM:
            weight[distance < size / 2 + 4] = 0
            continue
        if np.any(nodule.centre < 0) or np.any(nodule.centre > np.array(grid) * STRIDE * SPACING):
            weight[distance < size / 2 + 4] = 0
            continue
        near = distance <= max(3.0, 0.2 * size)
        near.ravel()[np.argmin(distance)] = True
        bell = np.exp(-(distance**2) / (2 * max(3.1, 0.17 * size) ** 2))
        weight = np.minimum(weight, (1 - bell) ** 4)
        wanted[near], weight[near] = 1, 1
        close = distance <= 0.35 * size + 2.5
        for axis, places in enumerate((x[:, None, None], y[None, :, None], z[None, None, :])):
            codes[axis][close] = np.broadcast_to((nodule.centre[axis] - places) / (ANCHOR * SPACING), grid)[close]
            codes[axis + 3][close] = np.log(max(nodule.size[axis], 2.5) / (ANCHOR * SPACING))
        boxed[close] = 0.3
        boxed[near] = 1
    return wanted, weight, codes, boxed


def loss(logits: Tensor, codes: Tensor, wanted: Tensor, weight: Tensor, aim: Tensor, boxed: Tensor) -> tuple[Tensor, Tensor]:
    """Focal loss (Lin et al. 2017, γ 2; weights near centres as Zhou et al. 2019) and L1 of the box codes."""
    logits = logits[:, 0].float()
    p = torch.sigmoid(logits)
    bce = torch.nn.functional.softplus(torch.where(wanted > 0, -logits, logits))
    focal = torch.where(wanted > 0, (1 - p) ** 2 * bce, weight * p**2 * bce)
    # Cells of one nodule share its weight, or large ones would rule.
    count = torch.clamp((wanted * weight).sum(), min=8.0)
    box = ((codes.float() - aim).abs() * boxed[:, None]).sum() / torch.clamp(boxed.sum(), min=1)
    return focal.sum() / count, box
