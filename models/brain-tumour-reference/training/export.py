#!/usr/bin/env python3
"""Fit the strangeness to the trained trunk and write model.onnx: float32 in and out, weights kept as float16."""
import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.covariance import LedoitWolf

import data
import synth
from network import Shipped, Trunk, statistics

FEATURE_SEED = 2_000_000


def seen_by(trunk: Trunk, made: dict[str, torch.Tensor], seeds: range) -> tuple[torch.Tensor, torch.Tensor]:
    """Pooled features and statistics, [n, …] each, of fresh training-like samples."""
    features, numbers = [], []
    with torch.no_grad():
        for seed in seeds:
            images = synth.make(seed, made, synth.ROUND_TWO)[0]
            features.append(trunk.encode(torch.stack([images, images.flip(3)]))[1].mean(0))
            numbers.append(statistics(images[None])[0])
    return torch.stack(features), torch.stack(numbers)


def whitened(found: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [f] and the matrix [f, f] that makes the mean square of the differences from it about 1, by a shrunk covariance."""
    values = found.double().numpy()
    scale = values.std(0) + 1e-6
    spread, vectors = np.linalg.eigh(LedoitWolf().fit((values - values.mean(0)) / scale).covariance_)
    whiten = vectors / np.sqrt(spread) / scale[:, None] / np.sqrt(len(spread))
    return torch.tensor(values.mean(0), dtype=torch.float32), torch.tensor(whiten, dtype=torch.float32)


def half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Large float32 weights become float16 with a Cast behind them, which runtimes fold when they load the file."""
    casts = []
    for weight in list(model.graph.initializer):
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < 1000 or "whiten" in weight.name:
            continue
        name = weight.name
        model.graph.initializer.remove(weight)
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), name + ".half"))
        casts.append(helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    return model


def export(trunk: Trunk, made: dict[str, torch.Tensor], path: Path, samples: int) -> None:
    trunk.eval()
    fits = [whitened(found) for found in seen_by(trunk, made, range(FEATURE_SEED, FEATURE_SEED + samples))]
    shipped = Shipped(trunk, [mean for mean, _ in fits], [whiten for _, whiten in fits]).eval()
    window = torch.zeros(1, 4, 64, 64, 64)
    axes = {0: "batch", 2: "z", 3: "y", 4: "x"}
    torch.onnx.export(shipped, window, str(path), opset_version=17, input_names=["image"], output_names=["logits", "strangeness"],
                      dynamic_axes={"image": axes, "logits": axes, "strangeness": {0: "batch"}}, dynamo=False)
    onnx.save(half_weights(onnx.load(str(path))), str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--work", default="/tmp/brain-tumour-reference")
    parser.add_argument("--weights", default="trunk.pt", help="in the work folder; synthetic.pt for the variant that never saw the glioma")
    parser.add_argument("--output", default=str(Path(__file__).resolve().parents[1] / "model.onnx"))
    parser.add_argument("--samples", type=int, default=160, help="for the features' mean and covariance")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trunk = Trunk()
    trunk.load_state_dict(torch.load(Path(arguments.work) / arguments.weights))
    made = synth.tensors(data.sources(data.folder(arguments.data), Path(arguments.work) / "sources.npz"))
    export(trunk, made, Path(arguments.output), arguments.samples)


if __name__ == "__main__":
    main()
