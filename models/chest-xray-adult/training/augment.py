"""Augmentation of grey chest films, batch-wise: framing, exposure, sharpness, noise.

The ranges are what differs between departments without changing what the film shows:
how tightly it is framed, how it is exposed, how sharp and noisy the detector is.
"""
import math

import torch
import torch.nn.functional as F


def _uniform(n, low, high, generator):
    """n uniform numbers in [low, high), shaped to broadcast over [n, 1, h, w]."""
    return torch.rand(n, 1, 1, 1, generator=generator) * (high - low) + low


def random_affine(x, generator, strength):
    """Rotation (8 degrees), zoom (12 %), aspect (10 %), shift (5 %); the edge is repeated or black."""
    n = x.shape[0]
    draw = lambda half: strength * (_uniform(n, -half, half, generator).view(n))
    angle, zoom, aspect = draw(8 * math.pi / 180), torch.exp(draw(0.12)), torch.exp(draw(0.10))
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack([torch.stack([zoom * aspect * cos, -zoom * sin, draw(0.10)], 1),
                         torch.stack([zoom * sin, zoom / aspect * cos, draw(0.10)], 1)], 1)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    edge = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    black = F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)
    return torch.where(_uniform(n, 0, 1, generator) < 0.5, edge, black)


def random_exposure(x, generator, strength):
    """Gamma, contrast, and a smooth additive field, on grey values in [0, 1]."""
    n = x.shape[0]
    x = x.clamp(1e-4, 1) ** torch.exp(strength * _uniform(n, -0.4, 0.4, generator))
    middle = x.mean((2, 3), keepdim=True)
    x = (x - middle) * torch.exp(strength * _uniform(n, -0.3, 0.3, generator)) + middle
    field = torch.randn(n, 1, 3, 3, generator=generator) * _uniform(n, 0, 0.08, generator)
    return x + strength * F.interpolate(field, size=x.shape[2:], mode="bilinear", align_corners=True)


def random_sharpness(x, generator, strength):
    """Blur or sharpen a little, add noise."""
    n = x.shape[0]
    smooth = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = x + strength * _uniform(n, -0.8, 0.6, generator) * (x - smooth)
    return x + strength * _uniform(n, 0, 0.02, generator) * torch.randn(x.shape, generator=generator)


def augment(x, generator, strength=1.0):
    """The whole chain on a batch [n, 1, h, w] of grey values in [0, 255], which stay in [0, 255]."""
    x = random_affine(x / 255, generator, strength)
    x = random_exposure(x, generator, strength)
    return random_sharpness(x, generator, strength).clamp(0, 1) * 255
