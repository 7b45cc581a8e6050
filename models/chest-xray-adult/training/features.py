"""What the heads read: mean and standard deviation of every channel of stages 2 to 7 and of the last convolution."""
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import evaluate
from augment import augment
from network import Lite

SIZE = 384
FIRST_STAGE = 1
THUMBNAIL = 12


def standardise(image: torch.Tensor) -> torch.Tensor:
    """Grey values [n, 1, h, w] less their mean, by their deviation: exposure carries no information."""
    centred = image - image.mean((2, 3), keepdim=True)
    deviation = torch.sqrt((centred * centred).mean((2, 3), keepdim=True) + 1)
    return centred / deviation


def moments(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and deviation [n, c] of maps [n, c, h, w], and the maps' squared distance from their mean."""
    mean = maps.mean((2, 3), keepdim=True)
    squares = (maps - mean) ** 2
    deviation = torch.sqrt(squares.mean((2, 3)) + 1e-6)
    return mean[:, :, 0, 0], deviation, squares


def maps_of(nets, image: torch.Tensor) -> list[torch.Tensor]:
    """The maps that the features are taken of, for grey values [n, 1, h, w] in [0, 255]."""
    standard = standardise(image).expand(-1, 3, -1, -1)
    return [maps for net in nets for maps in net(standard)[FIRST_STAGE:]]


def pooled(maps: list[torch.Tensor]) -> torch.Tensor:
    """Features [n, d]: for each map its channels' means, then their deviations."""
    return torch.cat([part for m in maps for part in moments(m)[:2]], 1)


def layout(image: torch.Tensor) -> torch.Tensor:
    """The standardised image as a thumbnail [n, 144]: where it is bright and dark tells which way up it is."""
    return F.avg_pool2d(standardise(image), SIZE // THUMBNAIL).flatten(1)


class _Pooled(torch.nn.Module):
    def __init__(self, net: Lite):
        super().__init__()
        self.net = net

    def forward(self, image):
        return torch.cat([pooled(maps_of([self.net], image)), layout(image)], 1)


def extract(net: Lite, images: np.ndarray, copies: int, seed: int, strength: float) -> np.ndarray:
    """Features and then layout [copies, n, d + 144] of films [n, 1, h, w]: copy 0 of the film itself, the others of augmented ones.

    onnxruntime computes them, as it will when the model is used; it is also three times as fast.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.onnx"
        torch.onnx.export(_Pooled(net).eval(), torch.rand(2, 1, SIZE, SIZE) * 255, str(path), opset_version=17, dynamo=False,
                          input_names=["image"], output_names=["features"], dynamic_axes={"image": {0: "batch"}, "features": {0: "batch"}})
        session = evaluate.open_model(path)
    generator = torch.Generator().manual_seed(seed)
    films, result = torch.from_numpy(images), []
    for copy in range(copies):
        parts = []
        for i in range(0, len(films), 8):
            batch = films[i:i + 8] if copy == 0 else augment(films[i:i + 8], generator, strength)
            parts.append(session.run(None, {"image": batch.numpy()})[0])
        result.append(np.concatenate(parts))
        print(f"features: copy {copy + 1} of {copies}", flush=True)
    return np.stack(result)
