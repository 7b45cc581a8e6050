"""Training crops and whole made-up scans at the network's spacing. Volumes are float32 [x, y, z] in HU, nodules in mm of the crop (its first voxel is at 0)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

import chests
import nodules
from nodules import Axes, Nodule
from scans import CONSENSUS, Scan

SPACING = 1.25
# A slab of the training scan (LPS z, mm) whose voxels never enter the loss: false positives there tell of tissue that was not learnt by heart.
HELD_OUT = (-205.0, -160.0)


@dataclass
class Sample:
    """hu [x, y, z]; nodules to be found; centre and radius (mm) of what no loss is taken from; trusted: cells that enter the loss, at the volume's grid, or None for all."""

    hu: np.ndarray
    nodules: list[Nodule] = field(default_factory=list)
    ignored: list[tuple[np.ndarray, float]] = field(default_factory=list)
    trusted: np.ndarray | None = None


def diameter(rng: np.random.Generator) -> float:
    """mm, small ones more often."""
    return float(np.exp(rng.uniform(np.log(3.2), np.log(30)))) if rng.random() < 0.7 else float(rng.uniform(4, 12))


class Background:
    """The real scan that nodules are put into."""

    def __init__(self, scan: Scan, depth: np.ndarray) -> None:
        self.scan, self.depth = scan, depth
        self.inside = np.argwhere(depth[::4, ::4, ::2] > 0) * [4, 4, 2]
        self.hard: np.ndarray = np.zeros((0, 3))

    def crop(self, rng: np.random.Generator, size: tuple[int, int, int], use_held_out: bool = False) -> Sample:
        """A turned, mirrored, zoomed crop of the scan (size: voxels at the network's spacing), with up to three nodules."""
        choice = rng.random()
        if len(self.hard) > 0 and choice < 0.25:
            centre = self.hard[rng.integers(len(self.hard))] + rng.uniform(-12, 12, 3) / self.scan.spacing
        elif choice < 0.9:
            centre = self.inside[rng.integers(len(self.inside))] + rng.uniform(-15, 15, 3) / self.scan.spacing
        else:
            centre = rng.uniform(0, 1, 3) * self.scan.hu.shape
        turn = self._turn(rng)
        hu, depth, matrix, offset = self._warp(centre, turn, size)
        return self._fill(rng, hu, depth, matrix, offset, int(rng.choice([0, 1, 2, 3], p=[0.35, 0.35, 0.2, 0.1])), use_held_out)

    def whole(self, rng: np.random.Generator, count: int, turned: bool = True) -> tuple[Sample, np.ndarray]:
        """The whole scan, turned, with nodules in it, and where the volume [x, y, z] shows the held-out slab."""
        turn = self._turn(rng) if turned else np.eye(3)
        extent = np.array(self.scan.hu.shape) * self.scan.spacing
        size = tuple(int(n) for n in np.ceil(np.abs(np.linalg.inv(turn)) @ extent / SPACING))
        hu, depth, matrix, offset = self._warp(np.array(self.scan.hu.shape) / 2, turn, size)
        sample = self._fill(rng, hu, depth, matrix, offset, count, True)
        return sample, self._held_out(matrix, offset, size)

    def _turn(self, rng: np.random.Generator) -> np.ndarray:
        angles = rng.normal(0, [6, 6, 15])
        shear = np.eye(3) + rng.normal(0, 0.04, (3, 3)) * (1 - np.eye(3))
        flips = np.diag(np.where(rng.random(3) < [0.5, 0.5, 0.25], -1, 1))
        return Rotation.from_euler('xyz', angles, degrees=True).as_matrix() @ shear @ flips @ np.diag(np.exp(rng.uniform(np.log(0.83), np.log(1.2), 3)))

    def _warp(self, centre: np.ndarray, turn: np.ndarray, size: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Voxels and depth (mm) around a voxel of the scan; index of the scan = matrix @ index of the crop + offset."""
        matrix = np.diag(1 / self.scan.spacing) @ turn * SPACING
        offset = np.asarray(centre, float) - matrix @ ((np.array(size) - 1) / 2)
        low, high = self._reach(matrix, offset, size)
        if np.any(high <= low):
            return np.full(size, -1000, np.float32), np.full(size, -100, np.float32), matrix, offset
        part = tuple(slice(a, b) for a, b in zip(low, high))
        hu = ndimage.affine_transform(self.scan.hu[part], matrix, offset - low, size, np.float32, 1, 'constant', -1000)
        coarse = ndimage.affine_transform(self.depth[part], matrix * 2, offset - low, tuple((n + 1) // 2 for n in size), np.float32, 1, 'constant', -1000) / 10
        depth = np.repeat(np.repeat(np.repeat(coarse, 2, 0), 2, 1), 2, 2)[: size[0], : size[1], : size[2]]
        return hu, depth, matrix, offset

    def _reach(self, matrix: np.ndarray, offset: np.ndarray, size: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        corners = np.array([[i, j, k] for i in (0, size[0]) for j in (0, size[1]) for k in (0, size[2])]) @ matrix.T + offset
        return np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, self.scan.hu.shape), np.clip(np.ceil(corners.max(0)).astype(int) + 2, 0, self.scan.hu.shape)

    def _held_out(self, matrix: np.ndarray, offset: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
        i, j, k = (np.arange(n) for n in size)
        z = matrix[2, 0] * i[:, None, None] + matrix[2, 1] * j[None, :, None] + matrix[2, 2] * k[None, None, :] + offset[2]
        mm = z * self.scan.spacing[2] + self.scan.origin[2]
        return (mm > HELD_OUT[0]) & (mm < HELD_OUT[1])

    def _fill(self, rng: np.random.Generator, hu: np.ndarray, depth: np.ndarray, matrix: np.ndarray, offset: np.ndarray, count: int, use_held_out: bool) -> Sample:
        sample = Sample(hu)
        back = np.linalg.inv(matrix)
        for mark in self.scan.marks:
            at = back @ (self.scan.index(mark.centre) - offset) * SPACING
            # Zooming changes sizes by less than a fifth, which an ignored ball may overlook.
            size = np.abs(back * SPACING) @ (mark.size / self.scan.spacing)
            if np.any(at < -40) or np.any(at > np.array(hu.shape) * SPACING + 40):
                continue
            if mark.readers >= CONSENSUS:
                sample.nodules.append(Nodule(at, size, 'real'))
            else:
                sample.ignored.append((at, float(size.max() / 2 + (3 if mark.readers == 0 else 5))))
        if not use_held_out:
            held = self._held_out(matrix, offset, hu.shape)
            sample.trusted = None if not held.any() else ~held
        axes = grid_axes(hu.shape, SPACING)
        if rng.random() < 0.25:
            tubes(rng, hu, axes, depth)
        insert(rng, sample, axes, depth, count)
        return sample


def grid_axes(size: tuple[int, ...], spacing: float | np.ndarray) -> Axes:
    x, y, z = (np.arange(n) * s for n, s in zip(size, np.broadcast_to(spacing, 3)))
    return x, y, z


def insert(rng: np.random.Generator, sample: Sample, axes: Axes, depth: np.ndarray, count: int, plain: bool = False, least: float = 0.0) -> None:
    """Puts nodules into the lungs: free, at the pleura, or on a vessel; none into another or into what radiologists marked."""
    if not (depth > 0).any():
        return
    for _ in range(count):
        size = max(diameter(rng), least)
        where = rng.choice(['free', 'pleura', 'vessel', 'any'], p=[0.45, 0.25, 0.15, 0.15])
        radius = size / 2
        step = tuple(slice(int(rng.integers(2)), None, 2) for _ in range(3))
        place = depth[step]
        fit = {'free': place > radius + 1, 'pleura': (place > 0.2 * radius) & (place < radius), 'vessel': (place > max(radius, 6)) & (sample.hu[step] > -500), 'any': place > 0}[where]
        options = np.flatnonzero(fit)
        if len(options) == 0:
            options = np.flatnonzero(place > 0)
        if len(options) == 0:
            continue
        index = np.array(np.unravel_index(options[rng.integers(len(options))], place.shape))
        centre = np.array([a[s][i] for a, s, i in zip(axes, step, index)]) + rng.uniform(-0.5, 0.5, 3) * [a[1] - a[0] for a in axes]
        near = [(n.centre, n.diameter / 2) for n in sample.nodules] + sample.ignored
        if any(np.linalg.norm(c - centre) < r + radius * 1.3 + 4 for c, r in near):
            continue
        nodule = nodules.make(rng, centre, size, plain)
        seen = nodules.draw(sample.hu, axes, nodule, 0.0 if plain else float(rng.uniform(0.3, 1)))
        # What has mostly vanished in the chest wall is neither nodule nor background.
        if seen > 0.45:
            sample.nodules.append(nodule)
        else:
            sample.ignored.append((centre, radius + 4))


def tubes(rng: np.random.Generator, hu: np.ndarray, axes: Axes, depth: np.ndarray) -> None:
    """Draws vessels into the lungs that were not there."""
    options = np.flatnonzero(depth > 4)
    rows: list[list[float]] = []
    for _ in range(int(rng.integers(1, 4)) if len(options) > 0 else 0):
        index = np.unravel_index(options[rng.integers(len(options))], depth.shape)
        chests.vessel(rng, rows, np.array([a[i] for a, i in zip(axes, index)]))
    for row in rows:
        chests.tube(hu, axes, np.array(row, np.float32), depth > 0)


def made_up(rng: np.random.Generator, crop: tuple[int, int, int] | None, plain: bool, count: int | None = None, least: float = 0.0) -> Sample:
    """A crop of a made-up chest (voxels at the network's spacing), or with None all of it. It is drawn on a grid as scanners have, then resampled."""
    chest = chests.make(rng, plain)
    spacing = np.array([1, 1, 0]) * rng.choice([0.7, 0.85, 1.25, 2.0, 2.5]) + np.array([0, 0, 1]) * rng.choice([0.8, 1.25, 2.0, 2.5, 3.0])
    if crop is not None:
        spacing = np.maximum(spacing, 1.0)
    low, high = chest.low - 25, chest.high + 25
    if crop is None:
        low[:2], high[:2] = -chest.body - 8, chest.body + 8
        start, extent = low, high - low
    else:
        inner = low + rng.uniform(0.2, 0.8, 3) * (high - low)
        extent = np.array(crop) * SPACING
        start = inner - extent / 2
    size = np.ceil(extent / spacing).astype(int) + 1
    local = grid_axes(tuple(size), spacing)
    axes = tuple(a + s for a, s in zip(local, start))
    hu, depth = chests.draw(chest, axes, rng)
    sample = Sample(hu)
    insert(rng, sample, local, depth, int(rng.choice([0, 1, 2, 3], p=[0.3, 0.3, 0.25, 0.15])) if count is None else count, plain and rng.random() < 0.7, least)
    noise = rng.uniform(0, 35) if plain else rng.uniform(5, 60)
    kind = rng.random()
    grain = (rng.random(hu.shape, np.float32) - 0.5) * np.float32(noise * 2) if kind < 0.5 else rng.standard_normal(hu.shape, np.float32) * np.float32(noise)
    if not plain:
        hu[:] = ndimage.gaussian_filter(hu, [0.4 / spacing[0], 0.4 / spacing[1], 0.3 / spacing[2]])
        if rng.random() < 0.5:
            grain = ndimage.gaussian_filter(grain, 0.6) * 2
    hu += grain
    sample.hu = resample(hu, spacing, crop)
    return sample


def resample(hu: np.ndarray, spacing: np.ndarray, size: tuple[int, int, int] | None = None) -> np.ndarray:
    """Linear, to the network's spacing, the first voxel stays where it is."""
    for axis in range(3):
        step = SPACING / spacing[axis]
        count = int(np.rint((hu.shape[axis] - 1) / step + 1)) if size is None else size[axis]
        at = np.minimum(np.arange(count) * step, hu.shape[axis] - 1)
        first = np.floor(at).astype(int)
        weight = (at - first).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        hu = np.take(hu, first, axis) * (1 - weight) + np.take(hu, np.minimum(first + 1, hu.shape[axis] - 1), axis) * weight
    return hu


def scanner(rng: np.random.Generator, hu: np.ndarray, light: bool = False) -> np.ndarray:
    """What scanners do to an image: kernel, thick slices, noise, offset. float32 [x, y, z] in and out, HU."""
    if rng.random() < 0.7:
        amount = rng.uniform(-0.6, 0.9)
        blurred = ndimage.gaussian_filter(hu, [0.7, 0.7, 0] if amount > 0 else [abs(amount), abs(amount), 0])
        hu = hu + amount * (hu - blurred) if amount > 0 else blurred
    if not light and rng.random() < 0.6:
        hu = hu @ _thick(rng, hu.shape[2])
    if rng.random() < 0.6:
        grain = rng.standard_normal(hu.shape, np.float32)
        if rng.random() < 0.5:
            grain = ndimage.gaussian_filter(grain, [0.5, 0.5, 0.2]) * 1.7
        hu = hu + grain * np.float32(rng.uniform(0, 45))
    if rng.random() < 0.5:
        # Emphysema to congestion: lungs thinner or denser.
        hu = hu + np.float32(rng.uniform(-40, 70)) * np.clip((-500 - hu) / 300, 0, 1)
    return ((hu + 1000) * np.float32(rng.uniform(0.95, 1.05)) - 1000 + np.float32(rng.normal(0, 12))).astype(np.float32)


def _thick(rng: np.random.Generator, count: int) -> np.ndarray:
    """Averaging over a slice's thickness and reading between slices, as one matrix [count, count]."""
    thickness, step = rng.uniform(1.25, 3.2) / SPACING, rng.uniform(1.0, 3.0) / SPACING
    z = np.arange(count)
    slices = np.arange(-rng.uniform(0, step), count + step, step)
    profile = np.clip(0.5 + thickness / 2 - np.abs(slices[None] - z[:, None]), 0, 1)
    profile /= np.maximum(profile.sum(0, keepdims=True), 1e-6)
    missing = (slices < 0) | (slices > count - 1)
    profile[:, missing] = (np.clip(np.rint(slices[missing]), 0, count - 1)[None] == z[:, None]).astype(float)
    between = np.clip(1 - np.abs(slices[:, None] - z[None]) / step, 0, 1)
    return (profile @ (between / between.sum(0, keepdims=True))).astype(np.float32)


def normalise(hu: np.ndarray) -> np.ndarray:
    """-1000 … 400 HU become 0 … 1, clipped."""
    return np.clip((hu + 1000) / 1400, 0, 1).astype(np.float32)
