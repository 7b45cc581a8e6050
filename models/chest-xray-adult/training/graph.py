"""The model as one graph: network, heads with calibration, activation map, strangeness; and its export to ONNX."""
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from features import SIZE, layout, maps_of, moments
from heads import Gaussian, Linear
from network import Lite

MAP = 12


class Distance(nn.Module):
    """heads.Gaussian in torch: features [n, d] to distances [n, 1]."""

    def __init__(self, gaussian: Gaussian):
        super().__init__()
        self.noise = gaussian.noise
        for name in ("mean", "spread", "axes", "shrink"):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(getattr(gaussian, name), np.float32)))

    def forward(self, features):
        z = (features - self.mean) / self.spread
        along = z @ self.axes
        distance = (z * z).sum(1, keepdim=True) - (along * along * self.shrink).sum(1, keepdim=True)
        return torch.sqrt(distance.clamp(min=0) / (self.noise * z.shape[1]))


class Model(nn.Module):
    """Grey values [n, 1, 384, 384] in [0, 255] to (logits [n, 14], activation map [n, 14, 12, 12], strangeness [n, 1]).

    Strangeness is the larger of two distances, of the features and of the layout, each in units of
    its 95th percentile among held-out films. The logit is the mean of its map. The part of a channel's deviation s in it is spread
    over the map by (f - mean)^2 / s, whose mean is s.
    """

    def __init__(self, nets: list[Lite], head: Linear, gaussians: tuple[Gaussian, Gaussian], units: tuple[float, float], channels: list[int]):
        super().__init__()
        self.nets, self.channels, self.units = nn.ModuleList(nets), channels, units
        tensor = lambda array: nn.Parameter(torch.from_numpy(np.ascontiguousarray(array, np.float32)), False)
        self.weights, self.bias = tensor(head.weights.T), tensor(head.bias)
        self.distances = nn.ModuleList(Distance(g) for g in gaussians)

    def forward(self, image):
        parts, features, at = [], [], 0
        for maps, count in zip(maps_of(self.nets, image), self.channels):
            mean, deviation, squares = moments(maps)
            of_mean = self.weights[:, at:at + count, None, None]
            of_deviation = self.weights[:, at + count:at + 2 * count, None, None]
            share = F.conv2d(maps, of_mean) + F.conv2d(squares / deviation[:, :, None, None], of_deviation)
            factor = int(maps.shape[2]) // MAP  # Constant: the input's size is.
            parts.append(F.avg_pool2d(share, factor) if factor > 1 else share)
            features += [mean, deviation]
            at += 2 * count
        activation = torch.stack(parts).sum(0) + self.bias[:, None, None]
        near = [distance(x) / unit for distance, x, unit in zip(self.distances, (torch.cat(features, 1), layout(image)), self.units)]
        strangeness = torch.maximum(*near)
        return activation.mean((2, 3)), activation, strangeness


def _store_half(graph: onnx.GraphProto):
    """Keep the large convolution weights as float16, cast when the session loads; nothing is lost, see network.fused."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > 256 and np.array_equal(values, values.astype(np.float16).astype(np.float32)):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def export(model: Model, findings: int, path: Path) -> float:
    """Write the ONNX file and return the largest difference of its outputs from torch's."""
    import evaluate  # Here, for evaluate itself runs without torch.
    names = ["logits", "activation_map", "strangeness"]
    torch.onnx.export(model, torch.rand(2, 1, SIZE, SIZE) * 255, str(path), opset_version=17, dynamo=False,
                      input_names=["image"], output_names=names, dynamic_axes={n: {0: "batch"} for n in ["image", *names]})
    file = onnx.load(str(path))
    for output, sizes in zip(file.graph.output, ((findings,), (findings, MAP, MAP), (1,))):
        for dimension, size in zip(output.type.tensor_type.shape.dim[1:], sizes):
            dimension.dim_value = size
    _store_half(file.graph)
    onnx.checker.check_model(file, full_check=True)
    onnx.save(file, str(path))
    session, worst = evaluate.open_model(path), 0.0
    for batch in (1, 3):
        image = torch.rand(batch, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(batch)) * 255
        with torch.inference_mode():
            expected = model(image)
        for a, b in zip(expected, session.run(names, {"image": image.numpy()})):
            worst = max(worst, float(np.abs(a.numpy() - b).max() / max(1, np.abs(b).max())))
    if not worst < 1e-3:
        raise SystemExit(f"the exported graph differs from torch by {worst}")
    return worst
