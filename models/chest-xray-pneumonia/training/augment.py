"""Batch-wise augmentation of small grey images, written with tensor operations only.

Radiographs of the training set betray their class by framing and contrast (films of
sick children are cropped tighter and are flatter). Every transform here takes such a
cue away without touching what the lungs look like: framing (scale, aspect ratio,
shift, rotation, shear, mirror), exposure (gamma, contrast, brightness, a smooth
intensity field), sharpness (blur, unsharp mask, noise) and occlusion (cutout).
"""
import math

import torch
import torch.nn.functional as F


def _uniform(n, low, high, generator):
    """n uniform numbers in [low, high), shaped to broadcast over an image batch."""
    return torch.rand(n, 1, 1, 1, generator=generator) * (high - low) + low


def _chance(n, probability, generator):
    """n boolean flags, each set with the given probability."""
    return torch.rand(n, 1, 1, 1, generator=generator) < probability


def random_affine(x, generator, strength=1.0):
    """Random mirror, rotation, anisotropic scale, shear and shift; edge or black fill."""
    n = x.shape[0]
    draw = lambda low, high: _uniform(n, low, high, generator).view(n)
    angle = draw(-12, 12) * strength * math.pi / 180
    zoom = torch.exp(draw(-0.35, 0.22) * strength)  # below 0: zoom in (a tighter crop)
    aspect = torch.exp(draw(-0.18, 0.18) * strength)
    shear = draw(-0.10, 0.10) * strength
    mirror = torch.where(_chance(n, 0.5, generator).view(n), -1.0, 1.0)
    sx, sy = zoom * aspect, zoom / aspect
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack([
        torch.stack([sx * cos * mirror, -sx * sin + shear, draw(-0.2, 0.2) * strength], 1),
        torch.stack([sy * sin * mirror, sy * cos, draw(-0.2, 0.2) * strength], 1)], 1)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    edge = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    black = F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)
    return torch.where(_chance(n, 1 - 0.3 * strength, generator), edge, black)


def random_sharpness(x, generator, strength=1.0):
    """Blur some images, sharpen others: x + a * (x - gaussian(x)) with a in [-1, 0.8]."""
    n = x.shape[0]
    sigma = 0.5 + 0.7 * torch.rand(1, generator=generator).item()
    taps = torch.exp(-torch.arange(-2.0, 3.0) ** 2 / (2 * sigma ** 2))
    kernel = torch.outer(taps, taps)
    kernel = (kernel / kernel.sum()).view(1, 1, 5, 5)
    smooth = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), kernel)
    amount = strength * _uniform(n, -1.0, 0.8, generator) * _chance(n, 0.6, generator)
    return x + amount * (x - smooth)


def random_intensity(x, generator, strength=1.0):
    """Random contrast, brightness, gamma and a smooth additive intensity field."""
    n = x.shape[0]
    mean = x.mean((2, 3), keepdim=True)
    x = (x - mean) * torch.exp(strength * _uniform(n, -0.6, 0.4, generator)) + mean
    x = (x + strength * _uniform(n, -0.15, 0.15, generator)).clamp(0, 1)
    x = x.clamp(min=1e-4) ** torch.exp(strength * _uniform(n, -0.5, 0.5, generator))
    field = torch.randn(n, 1, 3, 3, generator=generator) * _uniform(n, 0, 0.10, generator)
    field = F.interpolate(field, size=x.shape[2:], mode="bilinear", align_corners=True)
    return (x + strength * field * _chance(n, 0.5, generator)).clamp(0, 1)


def random_noise(x, generator, strength=1.0):
    """Gaussian noise of a random strength on half of the images."""
    n = x.shape[0]
    deviation = strength * _uniform(n, 0, 0.05, generator) * _chance(n, 0.5, generator)
    return x + deviation * torch.randn(x.shape, generator=generator)


def random_cutout(x, generator):
    """Cover one rectangle (up to 10 px a side) of half of the images with one grey."""
    n, _, h, w = x.shape
    rows, cols = torch.arange(h).view(1, 1, h, 1), torch.arange(w).view(1, 1, 1, w)
    top, left = _uniform(n, -4, h - 2, generator), _uniform(n, -4, w - 2, generator)
    high, wide = _uniform(n, 3, 10, generator), _uniform(n, 3, 10, generator)
    hole = (rows >= top) & (rows < top + high) & (cols >= left) & (cols < left + wide)
    hole = hole & _chance(n, 0.5, generator)
    return torch.where(hole, _uniform(n, 0, 1, generator), x)


def augment(x, generator, strength=1.0):
    """The whole chain on a batch [n, 1, h, w] with grey values in [0, 1].

    The strength scales every range but the cutout's.
    """
    x = random_affine(x, generator, strength)
    x = random_sharpness(x, generator, strength)
    x = random_intensity(x, generator, strength)
    x = random_noise(x, generator, strength)
    return random_cutout(x, generator).clamp(0, 1)
