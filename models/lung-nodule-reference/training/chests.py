"""Made-up chests: from bare ellipsoids, as the product's own phantom, to vessel trees, bronchi, ribs, heart and fissures. LPS millimetres, Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nodules import Axes


@dataclass
class Chest:
    """What a made-up chest consists of. Tubes are rows of x0 y0 z0 x1 y1 z1, radius at both ends (mm) and HU."""

    body: np.ndarray
    lungs: list[tuple[np.ndarray, np.ndarray]]
    hu: dict[str, float]
    waves: np.ndarray
    rough: float
    fat_mm: float
    heart: tuple[np.ndarray, np.ndarray] | None
    bones: bool
    rib_step: float
    rib_phase: float
    dome: float
    tubes: np.ndarray
    sheets: list[tuple[np.ndarray, float, float, float]] = field(default_factory=list)

    @property
    def low(self) -> np.ndarray:
        return np.min([c - r for c, r in self.lungs], 0)

    @property
    def high(self) -> np.ndarray:
        return np.max([c + r for c, r in self.lungs], 0)


def make(rng: np.random.Generator, plain: bool) -> Chest:
    """A chest; plain: a body of one tissue and two ellipsoid lungs, with a few straight vessels now and then."""
    radii = np.array([rng.uniform(40, 65), rng.uniform(55, 90), rng.uniform(80, 135)])
    apart = radii[0] + rng.uniform(8, 28)
    lungs = [(np.array([side * apart, rng.uniform(-6, 6), rng.uniform(-8, 8)]), radii * rng.uniform(0.92, 1.08, 3)) for side in (-1, 1)]
    body = np.array([apart + radii[0] + rng.uniform(12, 40), radii[1] + rng.uniform(18, 45)])
    hu = {'air': -1000.0, 'lung': rng.uniform(-920, -760), 'tissue': rng.uniform(10, 70), 'fat': rng.uniform(-120, -70), 'bone': rng.uniform(180, 700), 'heart': rng.uniform(20, 220)}
    tubes: list[list[float]] = []
    for centre, size in lungs:
        if plain and rng.random() < 0.5:
            continue
        hilum = centre - np.array([np.sign(centre[0]) * size[0] * 0.75, 0, 0]) + rng.normal(0, 5, 3)
        if plain:
            for _ in range(int(rng.integers(1, 10))):
                _branch(rng, tubes, hilum, _unit(rng), rng.uniform(1.0, 4.0), rng.uniform(-30, 60), 0, 0.0)
        else:
            for _ in range(int(rng.integers(6, 14))):
                _branch(rng, tubes, hilum + rng.normal(0, 8, 3), _unit(rng, np.array([np.sign(centre[0]) * 0.8, 0, 0])), rng.uniform(2.0, 7.0), rng.uniform(0, 150), 0, 0.75)
            for _ in range(int(rng.integers(1, 4))):
                _bronchus(rng, tubes, hilum, _unit(rng, np.array([np.sign(centre[0]), 0, 0])))
    sheets = []
    if not plain:
        for centre, size in lungs:
            if rng.random() < 0.6:
                sheets.append((_unit(rng, np.array([0, 0.8, 0.8])), float(rng.normal(0, 30)), rng.uniform(0.4, 1.2), rng.uniform(-700, -300)))
    heart = None if plain else (np.array([rng.uniform(0, 35), rng.uniform(-50, -10), rng.uniform(-70, 0)]), np.array([rng.uniform(30, 65), rng.uniform(30, 55), rng.uniform(35, 65)]))
    count = 0 if plain else 5
    waves = np.column_stack([rng.normal(size=(count, 3)) / 25, rng.uniform(0, 6.3, count), rng.normal(0, 0.04, count)])
    return Chest(body, lungs, hu, waves, 0.0 if plain else float(rng.uniform(0, 40)), 0.0 if plain else float(rng.uniform(0, 25)), heart, not plain, float(rng.uniform(18, 32)), float(rng.uniform(0, 30)),
                 0.0 if plain else float(rng.uniform(0, 60)), np.array(tubes, np.float32).reshape(-1, 9), sheets)


def draw(chest: Chest, axes: Axes, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The chest without noise at the coordinates of axes (mm): hu float32 [x, y, z], and depth float32 in the lungs (mm, about; negative outside)."""
    x, y, z = (a.astype(np.float32) for a in axes)
    x, y, z = x[:, None, None], y[None, :, None], z[None, None, :]
    edge = np.broadcast_to(np.sqrt((x / chest.body[0]) ** 2 + (y / chest.body[1]) ** 2), (len(axes[0]), len(axes[1]), len(axes[2])))
    volume = np.where(edge <= 1, np.float32(chest.hu['tissue']), np.float32(chest.hu['air']))
    if chest.fat_mm > 0:
        volume[(edge <= 1) & (edge > 1 - chest.fat_mm / chest.body.mean())] = chest.hu['fat']
    wobble = np.zeros(volume.shape, np.float32)
    for a, b, c, phase, amplitude in chest.waves:
        wobble += amplitude * np.sin(a * x + b * y + c * z + phase)
    depth = np.full(volume.shape, -1e3, np.float32)
    for centre, radii in chest.lungs:
        r = np.sqrt(((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((z - centre[2]) / radii[2]) ** 2) + wobble
        np.maximum(depth, (1 - r) * radii.min(), out=depth)
    if chest.heart is not None:
        centre, radii = chest.heart
        r = np.sqrt(((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((z - centre[2]) / radii[2]) ** 2) + wobble
        volume[r < 1] = chest.hu['heart']
        np.minimum(depth, (r - 1) * radii.min(), out=depth)
        if chest.dome > 0:
            for side in (-1, 1):
                floor = chest.low[2] + chest.dome
                bowl = floor - ((x - side * 70) ** 2 + (y + 10) ** 2) / 160 - z
                np.minimum(depth, -bowl, out=depth)
    if chest.bones:
        _bones(chest, volume, x, y, z, depth)
    inside = depth > 0
    # Lungs are a little denser at the back.
    gradient = 0.0 if not chest.bones else 0.2
    volume[inside] = chest.hu['lung'] + np.broadcast_to(gradient * y, volume.shape)[inside]
    if chest.rough > 0:
        coarse = rng.normal(0, 1, [max(s // 4, 1) + 2 for s in volume.shape]).astype(np.float32)
        blown = np.repeat(np.repeat(np.repeat(coarse, 4, 0), 4, 1), 4, 2)[: volume.shape[0], : volume.shape[1], : volume.shape[2]]
        volume += np.where(inside, chest.rough, chest.rough / 4) * blown
    for normal, shift, half, hu in chest.sheets:
        sheet = np.abs(normal[0] * x + normal[1] * y + normal[2] * z - shift + 60 * wobble) < half + 0.3
        volume[sheet & inside] = hu
    for row in chest.tubes:
        tube(volume, axes, row, inside)
    return volume, depth


def _bones(chest: Chest, volume: np.ndarray, x: np.ndarray, y: np.ndarray, z: np.ndarray, depth: np.ndarray) -> None:
    # Ribs: a slanted band in every step of height, just outside of the lungs.
    slanted = (z + 0.45 * y + chest.rib_phase) % chest.rib_step
    volume[(depth < -2) & (depth > -11) & (slanted < chest.rib_step * 0.42)] = chest.hu['bone']
    spine = (x**2 + (y - chest.body[1] + 45) ** 2) < 20**2
    volume[np.broadcast_to(spine, volume.shape) & (depth < -1)] = chest.hu['bone'] * 0.7


def _branch(rng: np.random.Generator, tubes: list[list[float]], start: np.ndarray, ray: np.ndarray, radius: float, hu: float, level: int, fork: float) -> None:
    """A vessel that bends, narrows and forks."""
    at = start
    while radius > 0.45 and len(tubes) < 420:
        end = at + ray * rng.uniform(6, 16)
        thinner = radius * rng.uniform(0.8, 0.97)
        tubes.append([*at, *end, radius, thinner, hu])
        at, radius = end, thinner
        ray = _unit(rng, ray * 3.0)
        if level < 4 and rng.random() < fork:
            _branch(rng, tubes, at, _unit(rng, ray * 1.1), radius * rng.uniform(0.5, 0.85), hu, level + 1, fork * 0.8)
        if np.linalg.norm(at - start) > 110:
            return


def vessel(rng: np.random.Generator, tubes: list[list[float]], start: np.ndarray) -> None:
    """Adds one vessel with its branches, from start (mm) in any direction."""
    _branch(rng, tubes, start, _unit(rng), rng.uniform(1.0, 3.5), rng.uniform(-50, 120), 2, 0.5)


def _bronchus(rng: np.random.Generator, tubes: list[list[float]], start: np.ndarray, ray: np.ndarray) -> None:
    """A wall, and air inside of it: a second tube drawn later."""
    radius, at = rng.uniform(2.5, 6), start
    walls, air = [], []
    for _ in range(int(rng.integers(3, 8))):
        end = at + ray * rng.uniform(7, 14)
        thinner = radius * 0.85
        walls.append([*at, *end, radius, thinner, -50.0])
        air.append([*at, *end, max(radius - 1.2, 0.4), max(thinner - 1.2, 0.4), -980.0])
        at, radius, ray = end, thinner, _unit(rng, ray * 3)
    tubes.extend(walls + air)


def tube(volume: np.ndarray, axes: Axes, row: np.ndarray, inside: np.ndarray) -> None:
    """Draws a row of `Chest.tubes` into volume [x, y, z] (HU), where inside is true."""
    a, b, r0, r1, hu = row[:3], row[3:6], row[6], row[7], row[8]
    margin = max(r0, r1) + 1.5
    spans = [(int(np.searchsorted(g, min(p, q) - margin)), int(np.searchsorted(g, max(p, q) + margin))) for g, p, q in zip(axes, a, b)]
    if any(high <= low for low, high in spans):
        return
    block = tuple(slice(low, high) for low, high in spans)
    x, y, z = (g[s].astype(np.float32) for g, s in zip(axes, block))
    dx, dy, dz = x[:, None, None] - a[0], y[None, :, None] - a[1], z[None, None, :] - a[2]
    way = b - a
    t = np.clip((dx * way[0] + dy * way[1] + dz * way[2]) / max(float(way @ way), 1e-6), 0, 1)
    distance = np.sqrt((dx - t * way[0]) ** 2 + (dy - t * way[1]) ** 2 + (dz - t * way[2]) ** 2)
    # A soft border of half a millimetre stands for partial volume.
    share = np.clip((r0 + t * (r1 - r0) - distance) / 0.8 + 0.5, 0, 1) * inside[block]
    below = volume[block]
    drawn = below + share * (hu - below)
    volume[block] = drawn if hu < -900 else np.maximum(below, drawn)


def _unit(rng: np.random.Generator, bias: np.ndarray | None = None) -> np.ndarray:
    ray = rng.normal(size=3) * (1 if bias is None else 0.7) + (0 if bias is None else bias)
    return ray / np.linalg.norm(ray)
