"""Made-up tumours: where they are and how bright their parts are in each sequence."""
from dataclasses import dataclass

import torch

from fields import Dice, SIZE, blur, filaments, millimetres, rotation, smooth

# Kinds of tumour and how often: what of the core enhances.
KINDS = {"ring": 0.55, "solid": 0.13, "patchy": 0.10, "dark": 0.13, "speck": 0.09}


@dataclass
class Focus:
    """One mass. Millimetres from the middle of the window."""
    kind: str
    centre: torch.Tensor
    radius: float
    shape: torch.Tensor


@dataclass
class Masks:
    """0-1, [z, y, x]; enhancing lies in core, core in whole."""
    core: torch.Tensor
    whole: torch.Tensor
    enhancing: torch.Tensor


def focus(dice: Dice, brain: torch.Tensor, near: Focus | None = None) -> Focus:
    """A place in the brain, a size and a shape. brain: every fourth voxel of it, eroded."""
    inside = torch.nonzero(brain > 0.5)
    middle = (torch.tensor(SIZE) - 1) / 2
    centre = (inside[dice.integer(0, len(inside) - 1)] * 4 + 1.5 - middle) * 2.0 if len(inside) else torch.zeros(3)
    kind = dice.choice(KINDS)
    radius = dice.uniform(3.5, 8) if kind == "speck" else dice.uniform(6, 30) if dice.chance(0.85) else dice.uniform(25, 40)
    if near is not None:
        centre = near.centre + (centre - near.centre) * 0.5
        radius *= 0.5
    shape = torch.diag(torch.exp(dice.normal(3) * 0.22)) @ rotation(dice, 90)
    return Focus(kind, centre, radius, shape / torch.linalg.det(shape).abs() ** (1 / 3))


def pushed(dice: Dice, points: torch.Tensor, mass: Focus) -> torch.Tensor:
    """Points of the window [3, z, y, x] moved to where the tissue was before the mass pushed it away."""
    away = points - mass.centre[:, None, None, None]
    distance = away.pow(2).sum(0).sqrt()
    amount = dice.uniform(0, 0.4)
    return away * (-amount * torch.exp(-(distance / (1.6 * mass.radius)) ** 2))


def edge(depth: torch.Tensor, softness: float = 0.7) -> torch.Tensor:
    """Depth in mm inside a surface as a share of the voxel."""
    return (0.5 + depth / (2 * softness * 2)).clamp(0, 1)


def grow(dice: Dice, mass: Focus, brain: torch.Tensor, white: torch.Tensor, fluid: torch.Tensor) -> Masks:
    """The parts of one mass in a brain with known white matter and CSF, all 0-1 [z, y, x]."""
    points = millimetres() - mass.centre[:, None, None, None]
    radial = torch.einsum("ij,jzyx->izyx", mass.shape, points).pow(2).sum(0).sqrt()
    size = mass.radius
    rough = size * (dice.uniform(0.04, 0.22) * smooth(dice, max(size * 1.1, 6)) + dice.uniform(0, 0.12) * smooth(dice, max(size * 0.5, 4)))
    depth = size - radial + rough
    tissue = brain * (1 - 0.85 * fluid)
    core = edge(depth) * brain * (1 - 0.6 * fluid)
    if mass.kind == "ring":
        rim = dice.uniform(0.1, 0.5) * size + dice.uniform(0.5, 2.5)
        rim = rim * torch.exp(smooth(dice, max(size * 0.8, 6)) * dice.uniform(0.1, 0.6))
        wobble = dice.uniform(0, 0.25) * size * smooth(dice, max(size * 0.6, 5))
        enhancing = core * (1 - edge(depth - rim + wobble))
        if dice.chance(0.25):
            enhancing = enhancing * edge(4 * (smooth(dice, max(size, 8)) + dice.uniform(0.3, 1.2)))
        if dice.chance(0.2):
            enhancing = enhancing * edge(depth - dice.uniform(1, 0.3 * size + 1))
        if dice.chance(0.3):
            enhancing = torch.maximum(enhancing, core * (filaments(dice, max(size * 0.7, 6), 0.5) > 0.5))
    elif mass.kind == "patchy":
        enhancing = core * edge(3 * (smooth(dice, max(size * 0.6, 5)) - dice.uniform(0, 1.2)))
    elif mass.kind == "dark":
        enhancing = torch.zeros_like(core)
    else:
        enhancing = core
    reach = dice.uniform(0, 4) if dice.chance(0.25) else dice.uniform(2, 9 + 0.5 * size)
    track = blur(white * brain, 1.0)
    finger = reach * (0.15 + 1.5 * track * dice.uniform(0.6, 1.0)) * torch.exp(smooth(dice, max(14, size)) * 0.5) + rough
    oedema = edge(size + finger - radial * (1 + 0.15 * smooth(dice, 30)), 1.0) * tissue
    return Masks(core, torch.maximum(core, oedema), enhancing)


def together(parts: list[Masks]) -> Masks:
    stacked = [torch.stack([getattr(part, name) for part in parts]).amax(0) for name in ("core", "whole", "enhancing")]
    return Masks(*stacked)


def between(a: float, b: float, share: float) -> float:
    return a + (b - a) * share


def brightness(dice: Dice, tissue: dict[str, tuple[float, float, float]]) -> dict[str, dict[str, float]]:
    """How bright oedema, enhancing, necrotic and solid parts are, for each sequence from what (white, grey, CSF) are in it."""
    u = dice.uniform
    swelling, fluid, solid = u(0.15, 1.0), u(0.3, 1.1), u(0.1, 0.8)
    out = {}
    for name, (white, grey, csf) in tissue.items():
        if name in ("t1", "t1c"):
            part = {"oedema": between(white, csf, u(0.05, 0.25) + 0.25 * swelling), "necrosis": between(white, csf, min(fluid, 0.95) * u(0.7, 1.0)),
                    "solid": between(white, csf, u(0.1, 0.35) + 0.45 * solid), "enhancing": between(white, csf, u(0.0, 0.5))}
            if name == "t1c":
                part["enhancing"] = white * (1.15 + 1.2 * u() ** 1.5)
            elif dice.chance(0.08):
                part["necrosis"] = white * u(1.0, 1.5)
        elif name == "t2":
            part = {"oedema": between(white, csf, u(0.1, 0.3) + 0.5 * swelling), "necrosis": between(white, csf, fluid), "solid": between(white, csf, u(0.0, 0.3) + 0.6 * solid),
                    "enhancing": between(white, csf, u(0.0, 0.6))}
        else:
            bright = grey * u(1.2, 1.35) + grey * 0.8 * swelling * u(0.6, 1.2)
            part = {"oedema": bright, "necrosis": between(csf, bright, u(0, 1)), "solid": between(grey, bright, u(-0.1, 0.9)), "enhancing": between(grey, bright, u(-0.3, 1.0))}
        out[name] = part
    return out


def paint(dice: Dice, images: torch.Tensor, names: tuple[str, ...], masks: Masks, tissue: dict[str, tuple[float, float, float]]) -> torch.Tensor:
    """Images [4, z, y, x] with the masses in them."""
    bright = brightness(dice, tissue)
    necrotic = (0.5 + 1.2 * smooth(dice, 12) + dice.uniform(-1.5, 1.5)).clamp(0, 1)
    inner = masks.core - masks.enhancing
    cover, mottle = dice.uniform(0.55, 0.95), smooth(dice, 9) * dice.uniform(0.0, 0.15)
    cover_map = (cover + 0.2 * smooth(dice, 15)).clamp(0.35, 1)
    grain = smooth(dice, 5) * dice.uniform(0, 0.12)
    out = []
    for image, name in zip(images, names):
        part = bright[name]
        oedema = (masks.whole - masks.core).clamp_min(0) * cover_map
        image = image * (1 - oedema) + oedema * part["oedema"] * (1 + mottle)
        inside = part["necrosis"] * necrotic + part["solid"] * (1 - necrotic)
        image = image * (1 - masks.core) + inner * inside * (1 + grain) + masks.enhancing * part["enhancing"] * (1 + 1.5 * grain)
        out.append(image)
    return torch.stack(out)
