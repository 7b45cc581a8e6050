"""Random fields, deformations and the defects of images. Torch tensors, [z, y, x] at 2 mm unless said otherwise."""
from functools import lru_cache

import torch
from torch.nn import functional as F

SIZE = (80, 96, 80)
MM = 2.0


class Dice:
    """Random numbers of one sample."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator)

    def choice(self, weights: dict):
        at = self.uniform(0, sum(weights.values()))
        for name, weight in weights.items():
            at -= weight
            if at <= 0:
                return name
        return name

    def integer(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=self.generator))


def along(volume: torch.Tensor, matrices: list[torch.Tensor]) -> torch.Tensor:
    """A matrix [out, in] applied along each of the last three axes: much faster here than convolutions and resampling."""
    volume = torch.matmul(volume, matrices[2].T)
    volume = torch.matmul(matrices[1], volume)
    return torch.matmul(matrices[0], volume.flatten(-2)).unflatten(-1, (matrices[1].shape[0], matrices[2].shape[0]))


@lru_cache(maxsize=256)
def linear(out: int, cells: int) -> torch.Tensor:
    """Linear interpolation between `cells` knots, ends on ends."""
    at = torch.linspace(0, cells - 1, out)
    return (1 - (at[:, None] - torch.arange(cells)).abs()).clamp_min(0)


def smooth(dice: Dice, mm: float) -> torch.Tensor:
    """A field of about unit variance whose bumps are about `mm` wide."""
    cells = [max(int(round(n * MM / mm)), 2) + 1 for n in SIZE]
    field = along(dice.normal(*cells), [linear(n, c) for n, c in zip(SIZE, cells)])
    return field / field.std().clamp_min(1e-3)


def blur(volume: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian, sigma in voxels; the border's value is carried on. [..., z, y, x]"""
    matrices = []
    for n in volume.shape[-3:]:
        reach = torch.arange(-int(3 * sigma + 1), n + int(3 * sigma + 1))
        weights = torch.exp(-(torch.arange(n)[:, None] - reach) ** 2 / (2 * sigma ** 2))
        folded = torch.zeros(n, n).index_add_(1, reach.clamp(0, n - 1), weights)
        matrices.append(folded / folded.sum(1, keepdim=True))
    return along(volume, matrices)


def millimetres() -> torch.Tensor:
    """Of every voxel from the middle of the window, [3, z, y, x]."""
    axes = [(torch.arange(n) - (n - 1) / 2) * MM for n in SIZE]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def rotation(dice: Dice, degrees: float) -> torch.Tensor:
    matrix = torch.eye(3)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        angle = torch.tensor(dice.uniform(-degrees, degrees) * torch.pi / 180)
        turn = torch.eye(3)
        turn[a, a] = turn[b, b] = angle.cos()
        turn[a, b], turn[b, a] = -angle.sin(), angle.sin()
        matrix = matrix @ turn
    return matrix


def deformation(dice: Dice, strength: float = 1.0) -> torch.Tensor:
    """Where in the source, in millimetres from its middle, each voxel comes from: [3, z, y, x]. Affine, elastic, mirrored or not."""
    matrix = rotation(dice, 15 * strength) @ torch.diag(torch.tensor([dice.uniform(1 - 0.17 * strength, 1 + 0.17 * strength) for _ in range(3)]))
    if dice.chance(0.5):
        matrix = matrix @ torch.diag(torch.tensor([1.0, 1.0, -1.0]))
    reach = torch.tensor([12.0, 24.0, 32.0] if dice.chance(0.3) else [8.0, 10.0, 10.0])
    shift = (2 * torch.rand(3, generator=dice.generator) - 1) * reach
    points = millimetres()
    elastic = torch.zeros_like(points)
    for mm, most in ((40.0, 5.0), (18.0, 1.5)):
        amount = dice.uniform(0, most * strength)
        elastic += torch.stack([smooth(dice, mm) for _ in range(3)]) * amount
    return torch.einsum("ij,jzyx->izyx", matrix, points + shift[:, None, None, None]) + elastic


def sample(volume: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Values of a source at 1 mm [c, z, y, x] at points in millimetres from its middle [3, z, y, x]; zero outside."""
    sizes = torch.tensor(volume.shape[-3:], dtype=torch.float32)
    grid = (points.permute(1, 2, 3, 0) / (sizes - 1) * 2).flip(-1)
    return F.grid_sample(volume[None], grid[None], align_corners=True)[0]


def filaments(dice: Dice, mm: float, width: float) -> torch.Tensor:
    """Thin tubes that wind through the window, 0-1: where two fields cross zero together."""
    return torch.exp(-(smooth(dice, mm) ** 2 + smooth(dice, mm) ** 2) / width ** 2)


def thick(dice: Dice, image: torch.Tensor) -> torch.Tensor:
    """Slices of 3-7 mm, mostly axial, interpolated back. [z, y, x]"""
    axis = dice.choice({0: 0.7, 1: 0.15, 2: 0.15})
    size = list(image.shape)
    size[axis] = int(size[axis] * MM / dice.uniform(3, 7))
    slices = F.adaptive_avg_pool3d(image[None, None], size)
    return F.interpolate(slices, SIZE, mode="trilinear", align_corners=False)[0, 0]


def tone(dice: Dice, image: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """A bent scale of brightness; order is kept."""
    high = image[::4, ::4, ::4].quantile(0.995)
    unit = (image / high.clamp_min(1e-3)).clamp_min(0)
    return unit ** dice.uniform(1 - 0.35 * strength, 1 + 0.45 * strength) * high


def spoil(dice: Dice, images: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """What scanners do to images [4, z, y, x]: misregistration, blur, thick slices, bias field, bent tones, noise."""
    out = []
    together = dice.chance(0.25)
    for image in images:
        if dice.chance(0.25):
            shift = (2 * torch.rand(3, generator=dice.generator) - 1) * 0.5
            whole = F.pad(image[None, None], (1, 1, 1, 1, 1, 1), mode="replicate")
            weights = [torch.tensor([max(-s, 0), 1 - abs(s), max(s, 0)]) for s in shift.tolist()]
            kernel = weights[0][:, None, None] * weights[1][None, :, None] * weights[2][None, None, :]
            image = F.conv3d(whole, kernel[None, None])[0, 0]
        if dice.chance(0.35):
            image = blur(image, dice.uniform(0.3, 0.9))
        if together or dice.chance(0.25):
            image = thick(dice, image)
        if dice.chance(0.5):
            image = tone(dice, image, strength)
        if dice.chance(0.6):
            image = image * torch.exp(smooth(dice, dice.uniform(70, 160)) * dice.uniform(0, 0.18 * strength))
        if dice.chance(0.7):
            grain = dice.normal(*SIZE)
            image = image + grain * 0.07 * dice.uniform() ** 2 * image[::4, ::4, ::4].quantile(0.95)
        out.append(image)
    return torch.stack(out)
