"""The network: a residual 3-D U-Net at 2 mm between a pooling of the 1 mm window and an enlargement of its logits.

Everything a hospital's software would have to do around a 2 mm network is inside the graph, so
that the product feeds 1 mm windows and gets 1 mm logits.
"""
import torch
from torch import nn
from torch.nn import functional as F


class Norm(nn.InstanceNorm3d):
    """Instance norm with scale and offset. For a batch of one, batch norm is the same and keeps the memory layout, which is faster."""

    def __init__(self, channels: int):
        super().__init__(channels, affine=True)

    def forward(self, x):
        if self.training and x.shape[0] == 1:
            return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        return super().forward(x)


class Residual(nn.Module):
    """Two convolutions with instance norm, added to what came in. [n, c, z, y, x] -> the same shape."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([Norm(channels), Norm(channels)])

    def forward(self, x):
        inner = F.relu(self.norms[0](self.first(x)))
        return F.relu(x + self.norms[1](self.second(inner)))


class Step(nn.Module):
    """One convolution, instance norm, ReLU."""

    def __init__(self, before: int, after: int, stride: int = 1):
        super().__init__()
        self.convolution = nn.Conv3d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm = Norm(after)

    def forward(self, x):
        return F.relu(self.norm(self.convolution(x)))


class Trunk(nn.Module):
    """[n, 4, z, y, x] at 2 mm -> logits [n, 3, z, y, x] (core, whole tumour, enhancing) and the features for strangeness.

    Sizes must be multiples of 16.
    """

    def __init__(self, channels: tuple[int, ...] = (16, 32, 64, 96, 128)):
        super().__init__()
        self.stem = Step(4, channels[0])
        self.encoders = nn.ModuleList([Residual(c) for c in channels])
        self.downs = nn.ModuleList([Step(a, b, stride=2) for a, b in zip(channels, channels[1:])])
        self.ups = nn.ModuleList([nn.Conv3d(b, a, 1, bias=False) for a, b in zip(channels, channels[1:])])
        self.decoders = nn.ModuleList([Step(c, c) for c in channels[:-1]])
        self.heads = nn.ModuleList([nn.Conv3d(c, 3, 1) for c in channels[:3]])
        for head in self.heads:
            nn.init.constant_(head.bias, -2.0)

    def encode(self, x) -> tuple[list[torch.Tensor], torch.Tensor]:
        """@returns what goes across to the decoder, finest first; pooled features [n, c2 + c4]"""
        x = self.encoders[0](self.stem(x))
        skips = [x]
        for down, encoder in zip(self.downs, self.encoders[1:]):
            x = encoder(down(x))
            skips.append(x)
        return skips, torch.cat([skips[2].mean((2, 3, 4)), x.mean((2, 3, 4))], 1)

    def forward(self, x) -> tuple[list[torch.Tensor], torch.Tensor]:
        """@returns logits, finest first; the pooled features"""
        skips, features = self.encode(x)
        x, outputs = skips[-1], []
        for level in range(len(self.decoders) - 1, -1, -1):
            x = F.interpolate(self.ups[level](x), scale_factor=2, mode="nearest") + skips[level]
            x = self.decoders[level](x)
            if level < len(self.heads):
                outputs.append(self.heads[level](x))
        return outputs[::-1], features


def statistics(small: torch.Tensor) -> torch.Tensor:
    """What instance norm hides from the features: [n, 27] from a window [n, 4, z, y, x] at 2 mm, over voxels that are not 0.

    Correlations of the sequences, skewness, weight of the tails and fineness of each, its slopes towards head and back, and the filled volume.
    """
    inside = (small.abs().amax(1, keepdim=True) > 0).to(small.dtype)
    count = inside.sum((2, 3, 4)) + 1

    def mean(values):
        return (values * inside).sum((2, 3, 4)) / count

    centred = (small - mean(small)[:, :, None, None, None]) * inside
    unit = centred / (mean(centred ** 2) + 1e-4).sqrt()[:, :, None, None, None]
    pairs = [mean(unit[:, a:a + 1] * unit[:, b:b + 1]) for a in range(4) for b in range(a)]
    fine = (mean((unit - F.avg_pool3d(unit, 3, 1, 1)) ** 2) + 1e-4).log()
    slopes = []
    for axis in (2, 3):
        along = torch.ones_like(inside).cumsum(axis) * inside
        along = (along - mean(along)[:, :, None, None, None]) * inside
        along = along / (mean(along ** 2) + 1e-4).sqrt()[:, :, None, None, None]
        slopes.append(mean(unit * along))
    third = mean(unit ** 3)
    return torch.cat([*pairs, third.sign() * (1 + third.abs()).log(), (1 + mean(unit ** 4)).log(), fine, *slopes, count.log()], 1)


class Shipped(nn.Module):
    """The graph that ships: 1 mm windows in, 1 mm logits and a strangeness out; the image and its mirror image are both looked at.

    The last axis must run from the patient's right to left or the other way, for the mirror.
    Strangeness is the distance from training images, of the pooled features and of the statistics together: the root of the summed squares of the
    two Mahalanobis distances, each over the root of how many numbers it is of. `means` and `whitenings` come from training images.
    """

    def __init__(self, trunk: Trunk, means: list[torch.Tensor], whitenings: list[torch.Tensor]):
        super().__init__()
        self.trunk = trunk
        for n, (mean, whiten) in enumerate(zip(means, whitenings)):
            self.register_buffer(f"mean{n}", mean)
            self.register_buffer(f"whiten{n}", whiten)

    def forward(self, image):
        """@param image  [n, 4, z, y, x] float32, z-scored, sizes multiples of 32  @returns logits of that size, strangeness [n, 1]"""
        small = F.avg_pool3d(image, 2)
        seen, features = self.trunk(small)
        mirrored, mirrored_features = self.trunk(small.flip(4))
        logits = (seen[0] + mirrored[0].flip(4)) / 2
        away = ((features + mirrored_features) / 2 - self.mean0) @ self.whiten0
        odd = (statistics(small) - self.mean1) @ self.whiten1
        strangeness = (away.pow(2).sum(1, keepdim=True) + odd.pow(2).sum(1, keepdim=True)).sqrt()
        return F.interpolate(logits, scale_factor=2, mode="trilinear", align_corners=False), strangeness
