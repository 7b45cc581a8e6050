#!/usr/bin/env python3
"""Train the chest X-ray pneumonia classifier and write model.onnx, manifest.json and figures.json.

The members of the ensemble are trained on the train split alone, each by a process of
its own with one thread and a seed of its own. The val split gives the calibration and
the threshold. The test split is read last, by evaluate.py, through the exported file.
"""
import argparse
import copy
import multiprocessing
import time
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F

import data
import evaluate
from augment import augment
from network import MAP, SIZE, Ensemble, Member

STRENGTHS = (0.3, 0.4, 0.5)  # augmentation strength, member by member in turn
OVERLAP_SHARE = 0.5
SMOOTHING = 0.1
BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.05
EMA_DECAY = 0.998


def update_average(average, model, step):
    """Move the exponential moving average of all weights and statistics towards the model."""
    keep = min(EMA_DECAY, (step + 1) / (step + 10))
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), model.state_dict().values()):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - keep)
            else:
                kept.copy_(new)


def train_member(job):
    """Train one member; return its averaged weights as numpy arrays."""
    folder, index, seed, steps = job
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    strength = STRENGTHS[index % len(STRENGTHS)]

    images, labels = data.read_split(data.open_archive(folder), "train")
    overlap = data.NuisanceModel(images, labels).overlap_weights(images, labels)
    weights = torch.from_numpy(data.sampling_weights(labels, overlap, OVERLAP_SHARE))
    images, labels = torch.from_numpy(images), torch.from_numpy(labels).float()

    model = Member().to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    started, running = time.time(), 0.0
    for step in range(steps):
        chosen = torch.multinomial(weights, BATCH, replacement=True, generator=generator)
        batch = augment(images[chosen], generator, strength)
        target = labels[chosen] * (1 - SMOOTHING) + SMOOTHING / 2
        logits, _ = model(batch.contiguous(memory_format=torch.channels_last))
        loss = F.binary_cross_entropy_with_logits(logits[:, 0], target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        update_average(average, model, step)
        running += loss.item()
        if (step + 1) % 200 == 0:
            print(f"member {index} step {step + 1}/{steps} loss {running / 200:.4f} "
                  f"{time.time() - started:.0f} s", flush=True)
            running = 0.0
    return {name: value.contiguous().numpy() for name, value in average.state_dict().items()}


def name_shapes(path):
    """Write the outputs' sizes, which the exporter leaves symbolic, into the file."""
    graph = onnx.load(str(path))
    for output, sizes in zip(graph.graph.output, ((1,), (1, MAP, MAP))):
        for dimension, size in zip(output.type.tensor_type.shape.dim[1:], sizes):
            dimension.dim_value = size
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(path))


def export(members, path):
    """Write the ensemble as one ONNX file and check it against torch; return the difference."""
    ensemble = Ensemble(members).eval()
    torch.onnx.export(
        ensemble, torch.rand(2, 1, SIZE, SIZE), str(path), opset_version=13,
        input_names=["image"], output_names=["logits", "activation_map"],
        dynamic_axes={name: {0: "batch"} for name in ("image", "logits", "activation_map")})
    name_shapes(path)
    session = evaluate.open_model(path)
    worst = 0.0
    for batch in (1, 32):
        image = torch.rand(batch, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            expected = ensemble(image)
        found = session.run(["logits", "activation_map"], {"image": image.numpy()})
        for a, b in zip(expected, found):
            worst = max(worst, float(np.abs(a.numpy() - b).max()))
    if not worst < 1e-4:
        raise SystemExit(f"the exported graph differs from torch by {worst}")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", default=data.default_folder(),
                        help="folder that holds pneumoniamnist.npz or cxr/pneumoniamnist.npz\n"
                             "(default: HEALTHVISION_TEST_DATA, or ../shared/data beside the repository)")
    parser.add_argument("--output", default=str(Path(__file__).resolve().parents[1]),
                        help="folder for model.onnx, manifest.json and figures.json (default: the model's)")
    parser.add_argument("--members", type=int, default=6, help="networks in the ensemble (default 6)")
    parser.add_argument("--steps", type=int, default=2000, help="optimiser steps for each (default 2000)")
    parser.add_argument("--workers", type=int, default=2, help="training processes (default 2)")
    parser.add_argument("--seed", type=int, default=20240, help="seed of the first member (default 20240)")
    options = parser.parse_args()

    started = time.time()
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    jobs = [(options.data, i, options.seed + i, options.steps) for i in range(options.members)]
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        states = pool.map(train_member, jobs, chunksize=1)
    members = []
    for state in states:
        member = Member()
        member.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        members.append(member.eval())
    torch.set_num_threads(1)
    difference = export(members, output / "model.onnx")
    print(f"trained in {time.time() - started:.0f} s; ONNX differs from torch by at most {difference:.1e}")
    evaluate.publish(output, options.data)


if __name__ == "__main__":
    main()
