"""The network of one ensemble member and the ensemble that becomes the ONNX graph."""
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE = 28
MAP = 7


class Block(nn.Module):
    """A residual block of two 3x3 convolutions, with average pooling in the shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.norm2.weight)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.append(nn.AvgPool2d(stride))
        if inputs != outputs:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Member(nn.Module):
    """A small residual network whose logit is the mean of its class activation map.

    The input is first standardised per image, so that a radiograph's exposure and
    contrast carry no information. A constant image becomes all zeros.
    """

    def __init__(self, widths=(32, 48, 96), dropout=0.2):
        super().__init__()
        first, second, third = widths
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 5, 2, 2, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        self.body = nn.Sequential(Block(first, second, 1), Block(second, third, 2))
        self.dropout = nn.Dropout2d(dropout)
        self.evidence = nn.Conv2d(third, 1, 1)

    def forward(self, image):
        """Return (logits [n, 1], activation map [n, 1, 7, 7])."""
        centred = image - image.mean((2, 3), keepdim=True)
        variance = (centred * centred).mean((2, 3), keepdim=True)
        features = self.body(self.stem(centred / torch.sqrt(variance + 1e-3)))
        activation = self.evidence(self.dropout(features))
        return activation.mean((2, 3)), activation


class Ensemble(nn.Module):
    """The mean of several members over the image and its mirror image, in logit space."""

    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, image):
        """Return (logits [n, 1], activation map [n, 1, 7, 7]); the logit is the map's mean."""
        both = torch.stack([image, torch.flip(image, [3])], 1).reshape(-1, 1, SIZE, SIZE)
        maps = torch.stack([member(both)[1] for member in self.members]).mean(0)
        maps = maps.reshape(-1, 2, MAP, MAP)
        activation_map = (maps[:, 0:1] + torch.flip(maps[:, 1:2], [3])) / 2
        return activation_map.mean((2, 3)), activation_map
