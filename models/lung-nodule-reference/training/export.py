"""From the trained weights to the pack: fits the strangeness on training windows, writes model.onnx (weights as float16, arithmetic in float32)."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

import infer
import samples
from network import Detector, Shipped
from scans import TRAIN_SCAN, data_folder, load

PACK = Path(__file__).resolve().parents[1]
# Share of the identity in the covariance of the standardised features: the fit rests on few patients.
SHRINKAGE = 0.05
FAMILIES = ('real', 'chest', 'bare')


def features(net: Detector, background: samples.Background, seed: int, count: int = 32) -> list[np.ndarray]:
    """Pooled features [count, 144] of windows of each family: the turned real scan, made-up chests, bare ones, as scanners vary."""
    rng = np.random.default_rng([seed, 77])
    rows: list[list[np.ndarray]] = [[] for _ in FAMILIES]
    for n in range(count * len(FAMILIES)):
        family = n % len(FAMILIES)
        sample = background.crop(rng, infer.WINDOW, True) if family == 0 else samples.made_up(rng, infer.WINDOW, family == 2)
        window = samples.normalise(samples.scanner(rng, sample.hu))[None, None]
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
            rows[family].append(net(torch.from_numpy(window).contiguous(memory_format=torch.channels_last_3d))[2].numpy()[0])
    return [np.array(r) for r in rows]


def whitening(families: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each family [families, features], and the matrix that makes their common covariance, shrunk, the identity (Lee et al. 2018)."""
    means = np.stack([rows.mean(0) for rows in families])
    within = np.concatenate([rows - mean for rows, mean in zip(families, means)])
    scale = within.std(0) + 1e-6
    covariance = (1 - SHRINKAGE) * np.cov((within / scale).T) + SHRINKAGE * np.eye(within.shape[1])
    values, vectors = np.linalg.eigh(covariance)
    return means, vectors / np.sqrt(values) / scale[:, None]


def halve(path: Path) -> None:
    """Stores large weights as float16 with a cast behind; ONNX Runtime folds the casts when it loads the file."""
    model = onnx.load(path)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or int(np.prod(weight.dims)) < 1024:
            continue
        name = weight.name
        if name in ('centres', 'whitening'):
            continue
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), f'{name}.half')
        weight.CopyFrom(half)
        casts.append(onnx.helper.make_node('Cast', [f'{name}.half'], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', help='folder that holds ct/')
    parser.add_argument('--work', type=Path, default=Path('work'))
    parser.add_argument('--weights', default='detector.pt', help='a file in the work folder')
    parser.add_argument('--shift', type=float, default=0.0, help='added to the logits')
    parser.add_argument('--output', type=Path, default=PACK)
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    net = Detector()
    net.load_state_dict(torch.load(options.work / options.weights, weights_only=True))
    net.eval()
    background = samples.Background(load(data_folder(options.data), TRAIN_SCAN), np.load(options.work / 'depth.npy'))
    mean, matrix = whitening(features(net.to(memory_format=torch.channels_last_3d), background, options.seed))
    shipped = Shipped(net.to(memory_format=torch.contiguous_format), torch.tensor(mean, dtype=torch.float32), torch.tensor(matrix, dtype=torch.float32), options.shift).eval()
    path = options.output / 'model.onnx'
    axes = {0: 'batch', 2: 'x', 3: 'y', 4: 'z'}
    torch.onnx.export(shipped, (torch.zeros(1, 1, 64, 64, 64),), str(path), dynamo=False, opset_version=17, input_names=['image'], output_names=['classification', 'box_regression', 'strangeness'],
                      dynamic_axes={'image': axes, 'classification': axes, 'box_regression': axes, 'strangeness': {0: 'batch'}})
    halve(path)
    print(path.stat().st_size, 'bytes')


if __name__ == '__main__':
    main()
