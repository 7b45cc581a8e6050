"""Made-up nodules: shape, density, and how they are drawn into a volume. Millimetres and Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

KINDS = ('solid', 'part-solid', 'ground-glass', 'calcified')
Axes = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Nodule:
    """centre mm [3]; size: extent along x, y, z in mm [3]; kind: one of KINDS, or 'real'; hu of the edge and of the core."""

    centre: np.ndarray
    size: np.ndarray
    kind: str = 'solid'
    hu: float = 40.0
    core_hu: float = 40.0
    core: float = 0.0
    edge_mm: float = 0.6
    frame: np.ndarray | None = None
    radii: np.ndarray | None = None
    waves: np.ndarray | None = None
    spikes: np.ndarray | None = None

    @property
    def diameter(self) -> float:
        """Diameter of the ball of the same extent, mm."""
        return float(np.prod(self.size) ** (1 / 3))


def make(rng: np.random.Generator, centre: np.ndarray, diameter: float, plain: bool = False, kind: str | None = None) -> Nodule:
    """A nodule of a diameter (mm): a turned ellipsoid with waves on its radius and now and then spicules. plain: a ball without noise."""
    if plain:
        value = float(rng.uniform(-30, 80))
        return Nodule(np.asarray(centre, float), np.full(3, diameter), kind or 'solid', value, value, 0.0, 0.05, np.eye(3), np.full(3, diameter / 2), None, None)
    kind = kind or str(rng.choice(KINDS, p=[0.62, 0.15, 0.15, 0.08]))
    if kind in ('part-solid', 'ground-glass') and diameter < 5:
        kind = 'solid'
    stretch = np.exp(rng.normal(0, 0.14, 3))
    radii = diameter / 2 * stretch / np.prod(stretch) ** (1 / 3)
    frame = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    count = int(rng.integers(2, 7))
    rough = rng.choice([0.02, 0.06, 0.12])
    waves = np.column_stack([_directions(rng, count), rng.uniform(2, 6, count), rng.uniform(0, 6.3, count), rng.normal(0, rough, count)])
    spikes = None
    if diameter > 7 and rng.random() < 0.2:
        n = int(rng.integers(3, 12))
        spikes = np.column_stack([_directions(rng, n), rng.uniform(0.2, 0.8, n), rng.uniform(0.004, 0.03, n)])
    solid = float(rng.uniform(-60, 80))
    glass = float(rng.uniform(-720, -350))
    edge = float(rng.uniform(0.25, 0.9))
    hu, core_hu, core = {
        'solid': (solid, solid, 0.0),
        'part-solid': (glass, solid, float(rng.uniform(0.35, 0.75))),
        'ground-glass': (glass, glass, 0.0),
        'calcified': (solid, float(rng.uniform(150, 900)), float(rng.uniform(0.3, 0.9))),
    }[kind]
    extent = 2 * np.sqrt(((frame * radii) ** 2).sum(1))
    return Nodule(np.asarray(centre, float), extent, kind, hu, core_hu, core, edge * (1.6 if kind == 'ground-glass' else 1), frame, radii, waves, spikes)


def draw(volume: np.ndarray, axes: Axes, nodule: Nodule, texture: float = 0.7) -> float:
    """Draws into volume float32 [x, y, z] (HU) at the coordinates of axes (mm, ascending); what is denser stays.

    texture: how much of the fine noise below stays. Returns which part of the nodule can be seen: what it changed by more than 100 HU.
    """
    reach = nodule.size / 2 * (1.9 if nodule.spikes is not None else 1.5) + 3 * nodule.edge_mm + 0.5
    spans = [(int(np.searchsorted(a, c - r)), int(np.searchsorted(a, c + r))) for a, c, r in zip(axes, nodule.centre, reach)]
    if any(high <= low for low, high in spans):
        return 0.0
    block = tuple(slice(low, high) for low, high in spans)
    x, y, z = (a[s] - c for a, s, c in zip(axes, block, nodule.centre))
    offset = np.stack(np.broadcast_arrays(x[:, None, None], y[None, :, None], z[None, None, :]), -1).astype(np.float32)
    distance = np.sqrt((offset**2).sum(-1)) + 1e-6
    local = offset @ nodule.frame.astype(np.float32)
    scaled = np.sqrt(((local / nodule.radii.astype(np.float32)) ** 2).sum(-1)) + 1e-6
    ray = offset / distance[..., None]
    radius = np.ones_like(distance)
    if nodule.waves is not None:
        for *u, n, phase, amplitude in nodule.waves:
            radius += amplitude * np.sin(n * (ray @ np.array(u, np.float32)) + phase)
    radius = np.clip(radius, 0.7, 1.35)
    smooth = radius.copy()
    if nodule.spikes is not None:
        for *u, length, width in nodule.spikes:
            radius += length * np.exp((ray @ np.array(u, np.float32) - 1) / width)
    millimetres = distance / scaled
    inside = _sigmoid((radius * millimetres - distance) / nodule.edge_mm)
    value = np.full_like(distance, nodule.hu)
    if nodule.core > 0:
        value += (nodule.core_hu - nodule.hu) * _sigmoid((nodule.core * smooth * millimetres - distance) / max(nodule.edge_mm, 0.3))
    below = volume[block]
    noise = np.clip(below - ndimage.gaussian_filter(below, 0.8), -80, 80) * texture if texture > 0 else 0.0
    drawn = below + inside * (value + noise - below)
    drawn = np.maximum(below, drawn)
    body = inside > 0.5
    seen = float((drawn[body] - below[body] > 100).mean()) if body.any() else 0.0
    volume[block] = drawn
    return seen


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    ray = rng.normal(size=(count, 3))
    return ray / np.linalg.norm(ray, axis=1, keepdims=True)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
