"""One training sample from a seed: images z-scored float32 [4, 80, 96, 80] at 2 mm in the order of data.CHANNELS, targets [3, ...] 0-1."""
import torch
from torch.nn import functional as F

from data import CHANNELS, Sources
from fields import Dice, SIZE, blur, deformation, filaments, millimetres, sample, smooth, spoil
from tumours import Masks, focus, grow, paint, pushed, together

# Shares of the kinds of samples; without the glioma's patient for the first part of the training.
WITHOUT_GLIOMA = {"head": 0.86, "phantom": 0.14}
# Of the second round: phantoms in coarse voxels, too, and more of the real brain.
ROUND_TWO = {"head": 0.32, "mirrored": 0.29, "glioma": 0.29, "phantom": 0.04, "coarse phantom": 0.06}
WITH_GLIOMA = {"head": 0.32, "mirrored": 0.28, "glioma": 0.29, "phantom": 0.11}


def plausible(dice: Dice) -> dict[str, tuple[float, float, float]]:
    """(white, grey, CSF) for each sequence, in about the order that scanners give."""
    u = dice.uniform
    grey, csf = u(0.6, 0.93), u(0.12, 0.55)
    t1 = (1.0, grey, csf * grey)
    t1c = (1.0, grey * u(0.95, 1.06), t1[2] * u(0.9, 1.15))
    t2 = (1.0, u(1.1, 1.6), u(1.9, 4.5))
    flair = (1.0, u(0.95, 1.45), u(0.1, 0.6))
    return {"flair": flair, "t1": t1, "t1c": t1c, "t2": t2}


def contrasts(dice: Dice, t1: torch.Tensor, tissue: dict[str, tuple[float, float, float]]) -> torch.Tensor:
    """Images [4, z, y, x] from the place between CSF 0, grey 0.5, white 1 [z, y, x]; above white lie fat and vessels."""
    out = []
    for name in CHANNELS:
        white, grey, csf = tissue[name]
        bright = dice.uniform(0.2, 1.0) * white
        image = csf + 2 * (grey - csf) * t1.clamp(0, 0.5) + 2 * (white - grey) * (t1 - 0.5).clamp(0, 0.5) + bright * (t1 - 1.15).clamp_min(0)
        if name in ("t1", "t1c"):
            image = image + csf * t1.clamp(-0.5, 0)
        out.append(image.clamp_min(0))
    return torch.stack(out)


def healthy_oddities(dice: Dice, images: torch.Tensor, t1: torch.Tensor, brain: torch.Tensor, fluid: torch.Tensor, white: torch.Tensor) -> torch.Tensor:
    """What a reader knows to be no tumour: vessels, choroid plexus, meninges, bright caps of the ventricles, spots of age."""
    flair, plain, contrast, t2 = images
    if dice.chance(0.8):
        vessels = filaments(dice, dice.uniform(14, 30), dice.uniform(0.12, 0.3)) * (1 - 0.8 * white)
        contrast = contrast * (1 - vessels) + vessels * dice.uniform(1.1, 3.0)
        t2 = t2 * (1 - vessels * dice.uniform(0, 0.8))
    deep = blur(brain, 4.0)
    if dice.chance(0.7):
        rind = (1 - deep).clamp(0, 0.4) / 0.4 * (smooth(dice, 20) - dice.uniform(0, 1.5)).clamp(0, 1) * brain
        contrast = contrast + rind * dice.uniform(0.1, 1.0)
        flair = flair + rind * dice.uniform(-0.2, 0.3)
    if dice.chance(0.8):
        # Venous sinuses: broad bands on the brain's surface, often the brightest of all after contrast agent.
        shell = ((0.85 - deep) / 0.3).clamp(0, 1) * brain
        sinus = shell * torch.exp(-(smooth(dice, dice.uniform(25, 60)) / dice.uniform(0.15, 0.5)) ** 2) * (smooth(dice, 50) + dice.uniform(0, 0.8)).clamp(0, 1)
        contrast = contrast * (1 - sinus) + sinus * dice.uniform(1.2, 5.0)
        t2, flair = t2 * (1 - sinus * dice.uniform(0, 0.8)), flair * (1 - sinus * dice.uniform(0, 0.7))
        plain = plain * (1 - sinus * dice.uniform(-0.2, 0.4))
    ventricles = fluid * (deep > 0.97)
    if dice.chance(0.5):
        plexus = ventricles * (smooth(dice, 8) - 1.0).clamp(0, 1)
        contrast = contrast + plexus * dice.uniform(0.5, 1.5)
        flair = flair + plexus * dice.uniform(0.2, 0.8)
    if dice.chance(0.6):
        caps = (blur(ventricles, dice.uniform(1.0, 2.5)) * 2.5).clamp(0, 1) * (1 - fluid) * brain
        amount = dice.uniform(0.05, 0.5)
        flair, t2 = flair * (1 + caps * amount), t2 * (1 + caps * amount * 0.8)
    if dice.chance(0.35):
        spots = (smooth(dice, 5) - dice.uniform(2.2, 3.0)).clamp(0, 1) * white * brain
        flair, t2, plain = flair * (1 + 0.7 * spots), t2 * (1 + 0.5 * spots), plain * (1 - 0.2 * spots)
    if dice.chance(0.3):
        flow = fluid * (smooth(dice, 30) - 0.5).clamp(0, 1)
        flair = flair + flow * dice.uniform(0.2, 0.9)
    return torch.stack([flair, plain, contrast, t2])


def wild(dice: Dice) -> dict[str, tuple[float, float, float]]:
    """Any order of brightness for the tissues, one order for T1 with and without contrast agent."""
    tissue = {name: tuple(dice.uniform(0.2, 2.0) for _ in range(3)) for name in CHANNELS}
    tissue["t1c"] = tuple(value * dice.uniform(0.9, 1.1) for value in tissue["t1"])
    return tissue


def masses(dice: Dice, mask: torch.Tensor, points: torch.Tensor) -> tuple[list, torch.Tensor]:
    """None (10 %), one, or several foci, and where the tissue came from before they pushed it."""
    if dice.chance(0.10):
        return [], points
    brain = sample(mask, points[:, 1::4, 1::4, 1::4])[0]
    brain = -F.max_pool3d(-brain[None, None], 3, 1, 1)[0, 0]
    foci = [focus(dice, brain)]
    while len(foci) < 4 and dice.chance(0.12):
        foci.append(focus(dice, brain, foci[0]))
    grid = millimetres()
    moved = sum(pushed(dice, grid, mass) for mass in foci)
    # The deformation is smooth: its value at the place before the push is its value here, moved along.
    return foci, points + moved


def grown(dice: Dice, foci: list, brain: torch.Tensor, white: torch.Tensor, fluid: torch.Tensor) -> Masks:
    if not foci:
        return Masks(*(torch.zeros(SIZE) for _ in range(3)))
    return together([grow(dice, mass, brain, white, fluid) for mass in foci])


def from_head(dice: Dice, source: torch.Tensor, tumours: bool = True) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    points = deformation(dice)
    if tumours:
        foci, points = masses(dice, source[1:2], points)
    else:
        foci = []
    t1, brain = sample(source, points)
    t1 = t1.clamp(-0.5, 2.0)
    if dice.chance(0.5):
        brain = brain * (t1 < 1.4)
    white, fluid = ((t1 - 0.55) / 0.3).clamp(0, 1) * brain, ((0.3 - t1) / 0.25).clamp(0, 1) * brain
    tissue = plausible(dice) if dice.chance(0.88) else wild(dice)
    images = healthy_oddities(dice, contrasts(dice, t1, tissue), t1, brain, fluid, white)
    masks = grown(dice, foci, brain, white, fluid)
    images = paint(dice, images, CHANNELS, masks, tissue)
    shown = (t1 > -0.45).float() if dice.chance(0.03) else brain
    return images, shown, torch.stack([masks.core, masks.whole, masks.enhancing])


def from_mirrored(dice: Dice, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    points = deformation(dice)
    foci, points = masses(dice, source[4:5], points)
    sampled = sample(source, points)
    images, brain, white, fluid = sampled[:4], sampled[4], sampled[5] * sampled[4], sampled[6]
    images = images * torch.exp(dice.normal(4) * 0.05)[:, None, None, None]
    # What white, grey and CSF are in this patient, over white matter's value.
    tissue = {"flair": (1.0, 1.3, 0.35), "t1": (1.0, 0.93, 0.75), "t1c": (1.0, 0.93, 0.6), "t2": (1.0, 1.35, 4.0)}
    masks = grown(dice, foci, brain, white, fluid)
    images = paint(dice, images, CHANNELS, masks, tissue)
    return images, brain, torch.stack([masks.core, masks.whole, masks.enhancing])


def from_glioma(dice: Dice, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    sampled = sample(source, deformation(dice, 1.2))
    images, brain, targets = sampled[:4], sampled[4], sampled[5:]
    if dice.chance(0.5):
        # The tumour's parts get brighter or darker than this patient's were.
        core, whole, enhancing = targets
        for channel in range(4):
            parts = ((whole - core, 0.25), (enhancing, 0.25), (core - enhancing, 0.3))
            factor = 1 + sum(part.clamp_min(0) * dice.normal(1).item() * amount for part, amount in parts)
            images[channel] = images[channel] * factor.clamp(0.4, 1.8)
    return images, brain, targets


def phantom(dice: Dice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ellipsoids as in the product's phantom: one tissue, two ventricles, balls of oedema, rim and core."""
    u, points = dice.uniform, millimetres()

    def ball(centre, radii):
        return sum(((points[i] - centre[i]) / radii[i]) ** 2 for i in range(3)).sqrt()

    offset = [u(-6, 6) for _ in range(3)]
    radii = [u(48, 66), u(70, 88), u(58, 72)]
    inside = ball(offset, radii) <= 1
    ventricles = torch.zeros(SIZE, dtype=torch.bool)
    for side in (-1, 1):
        ventricles |= ball([offset[0] + u(0, 14), offset[1] + u(-4, 12), offset[2] + side * u(8, 16)], [u(5, 13), u(16, 32), u(4, 9)]) <= 1
    direction = dice.normal(3)
    direction = (direction / direction.norm() * u(0.1, 0.75)).tolist()
    centre = [o + d * r for o, d, r in zip(offset, direction, radii)]
    core = u(3, 16)
    rim = core + u(1.5, 8)
    outer = rim + u(1.5, 16)
    stretch = [u(0.8, 1.25) for _ in range(3)] if dice.chance(0.5) else [1.0, 1.0, 1.0]
    distance = ball(centre, stretch)
    healthy = dice.chance(0.1)
    lies = [(distance <= r) & inside & (not healthy) for r in (core, rim, outer)]
    base = {"t1": (520, 180, 400, 430, 320), "t1c": (520, 180, 400, 980, 330), "t2": (400, 1000, 760, 620, 820), "flair": (430, 110, 900, 700, 600)}
    shake, grain = u(0, 0.18), u(0.01, 0.1)
    images = []
    for name in CHANNELS:
        brain, csf, oedema, enhancing, necrosis = (value * (1 + shake * (2 * u() - 1)) for value in base[name])
        image = torch.full(SIZE, brain)
        image[ventricles] = csf
        for region, value in zip(lies[::-1], (oedema, enhancing, necrosis)):
            image[region] = value
        image = image * (1 + grain * (torch.rand(SIZE, generator=dice.generator) - 0.5))
        images.append(image / 500)
    targets = torch.stack([lies[1], lies[2], lies[1] & ~lies[0]]).float()
    return torch.stack(images), inside.float(), targets


def coarse(dice: Dice, images: torch.Tensor) -> torch.Tensor:
    """Voxels of 2-3 mm in slices of 3-6 mm, interpolated back, as the product's phantom comes to the network."""
    size = [int(SIZE[0] * 2 / dice.uniform(3, 6)), *(int(n * 2 / dice.uniform(2, 3)) for n in SIZE[1:])]
    return F.interpolate(F.interpolate(images[None], size, mode="nearest-exact"), SIZE, mode="trilinear", align_corners=False)[0]


def strip_badly(dice: Dice, brain: torch.Tensor, known: bool) -> torch.Tensor:
    """A brain mask cut too deep or not deep enough; never beyond the images where nothing is known there."""
    if dice.chance(0.5):
        return brain
    shift = dice.uniform(-0.25, 0.0 if known else 0.3) * (1 + smooth(dice, 40)).clamp(0, 2)
    return ((blur(brain, 1.2) + shift - 0.5) * 4 + 0.5).clamp(0, 1) * ((brain > 0) if known else 1)


def z_scored(images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Over what is inside the mask, which alone is kept."""
    inside = mask > 0.5
    out = []
    for image in images:
        values = image[inside]
        out.append((image - values.mean()) / values.std().clamp_min(1e-3) * mask)
    return torch.stack(out)


def make(seed: int, sources: dict[str, torch.Tensor], shares: dict[str, float]) -> tuple[torch.Tensor, torch.Tensor, str]:
    """@param shares  of the kinds head, mirrored, glioma, phantom and healthy, a head without a tumour  @returns images, targets, the kind of the sample"""
    dice = Dice(seed)
    kind = dice.choice(shares)
    if kind.endswith("phantom"):
        images, brain, targets = phantom(dice)
        if kind.startswith("coarse"):
            images = coarse(dice, images * brain)
        if dice.chance(0.5):
            images = spoil(dice, images, 0.5)
    else:
        if kind == "healthy":
            images, brain, targets = from_head(dice, sources["head"], tumours=False)
        else:
            images, brain, targets = {"head": from_head, "mirrored": from_mirrored, "glioma": from_glioma}[kind](dice, sources[kind])
        images = spoil(dice, images)
        brain = strip_badly(dice, brain, kind not in ("head", "healthy"))
    return z_scored(images.clamp_min(0), brain), targets * (brain > 0.05), kind


def tensors(made: Sources) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(getattr(made, name)) for name in ("head", "mirrored", "glioma")}
