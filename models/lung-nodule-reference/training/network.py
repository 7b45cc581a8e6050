"""The detector: a small 3-D U-Net that looks at 1.25 mm voxels and speaks at every fourth."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4
# Side of the only anchor, in voxels (10 mm).
ANCHOR = 8
CHANNELS = (24, 48, 64, 80)


def conv(given: int, made: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(given, made, kernel, stride, kernel // 2, bias=False), nn.BatchNorm3d(made))


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Detector(nn.Module):
    """[batch, 1, x, y, z] in 0 … 1, sides divisible by 16 → logits [batch, 1, x/4, y/4, z/4], codes [batch, 6, x/4, y/4, z/4], pooled features [batch, 144]."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = CHANNELS
        self.stem, self.stage1 = conv(1, a, 5, 2), Residual(a)
        self.down2, self.stage2 = conv(a, b, 3, 2), nn.Sequential(Residual(b), Residual(b))
        self.down3, self.stage3 = conv(b, c, 3, 2), nn.Sequential(Residual(c), Residual(c))
        self.down4, self.stage4 = conv(c, d, 3, 2), Residual(d)
        self.up3, self.neck3 = conv(d, c, 1), Residual(c)
        self.up2, self.neck2 = conv(c, b, 1), Residual(b)
        self.head = nn.Conv3d(b, 7, 1)
        nn.init.normal_(self.head.weight, 0, 0.01)
        nn.init.constant_(self.head.bias, 0)
        with torch.no_grad():
            self.head.bias[0] = -4.6

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        one = self.stage1(torch.relu(self.stem(x - 0.3)))
        two = self.stage2(torch.relu(self.down2(one)))
        three = self.stage3(torch.relu(self.down3(two)))
        four = self.stage4(torch.relu(self.down4(three)))
        pooled = torch.cat([three.float().mean((2, 3, 4)), four.float().mean((2, 3, 4))], 1)
        three = self.neck3(torch.relu(three + larger(self.up3(four))))
        two = self.neck2(torch.relu(two + larger(self.up2(three))))
        out = self.head(two)
        return out[:, :1], out[:, 1:], pooled


def larger(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode='nearest')


class Shipped(nn.Module):
    """The detector with the strangeness of each window: the Mahalanobis distance of the pooled features from the nearest family of chest CTs, over the square root of their number.

    means [families, features], whitening [features, features]; shift is added to the logits.
    """

    def __init__(self, detector: Detector, means: Tensor, whitening: Tensor, shift: float) -> None:
        super().__init__()
        self.detector, self.shift = detector, shift
        self.register_buffer('centres', means @ whitening)
        self.register_buffer('whitening', whitening)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, codes, pooled = self.detector(x)
        away = (pooled @ self.whitening)[:, None] - self.centres[None]
        return logits + self.shift, codes, (away * away).mean(2).amin(1, keepdim=True).sqrt()
