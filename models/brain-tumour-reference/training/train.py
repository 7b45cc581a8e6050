#!/usr/bin/env python3
"""Train the network on made-up tumours and one real case, and export model.onnx.

The first part of the training sees nothing of the glioma's patient; its weights, synthetic.pt, are what the figure on
that patient that is nearest to an independent one comes from.
"""
import argparse
import copy
import math
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import data
import synth
from network import Trunk

# Seeds of samples: below 1e6 the training's, 50,000 for each round; then those of evaluate.py and export.py.
ROUND = 50_000
LEVEL_WEIGHTS = (1.0, 0.5, 0.25)
KEPT = 160
_sources: dict[str, torch.Tensor] = {}


def open_sources(folder: str, cache: str) -> None:
    """Of a worker process."""
    torch.set_num_threads(1)
    _sources.update(synth.tensors(data.sources(Path(folder), Path(cache))))


def made(number: int, shares: dict[str, float], kept: Path):
    """A sample as float16 and uint8 arrays, from where --only-samples kept it if it did."""
    path = kept / f"{number:05}.npz"
    if path.exists():
        file = np.load(path)
        return file["images"], file["targets"], str(file["kind"])
    images, targets, kind = synth.make(number, _sources, shares)
    return images.half().numpy(), (targets * 255).round().byte().numpy(), kind


def fresh(step: float, reuse: float) -> int:
    """How many samples a step may choose from."""
    return 12 + int(step / reuse)


def plan(arguments: argparse.Namespace) -> tuple[int, int, dict[str, float]]:
    """The first sample's number, how many see nothing of the glioma's patient, and the shares of the rest."""
    if arguments.start is not None:
        return (arguments.seed - 1) * ROUND, 0, synth.ROUND_TWO
    return (arguments.seed - 1) * ROUND, fresh(int(arguments.steps * arguments.synthetic), arguments.reuse), synth.WITH_GLIOMA


def make_ahead(arguments: argparse.Namespace) -> None:
    """Make all samples and keep them, for a training that runs beside."""
    kept = Path(arguments.work) / "samples"
    kept.mkdir(parents=True, exist_ok=True)
    open_sources(str(data.folder(arguments.data)), str(Path(arguments.work) / "sources.npz"))
    first, change, shares = plan(arguments)
    for number in range(first, first + fresh(arguments.steps, arguments.reuse)):
        if (kept / f"{number:05}.npz").exists():
            continue
        images, targets, kind = made(number, synth.WITHOUT_GLIOMA if number - first < change else shares, kept)
        np.savez(kept / "new.npz", images=images, targets=targets, kind=kind)
        (kept / "new.npz").rename(kept / f"{number:05}.npz")


def cropped(dice: synth.Dice, images: torch.Tensor, targets: torch.Tensor, size: tuple[int, int, int]):
    """A part that has some of the tumour in four of five cases."""
    inside = torch.nonzero(targets[1] > 0.5) if dice.chance(0.8) else torch.empty(0, 3)
    aim = inside[dice.integer(0, len(inside) - 1)].tolist() if len(inside) else [n / 2 for n in images.shape[1:]]
    at = [min(max(int(a - dice.uniform(0.2, 0.8) * want), 0), n - want) for a, want, n in zip(aim, size, images.shape[1:])]
    part = (slice(None), *(slice(a, a + want) for a, want in zip(at, size)))
    return images[part], targets[part]


def varied(dice: synth.Dice, images: torch.Tensor, targets: torch.Tensor):
    """A sample again, a little different: mirrored, other scale of brightness for each sequence."""
    if dice.chance(0.5):
        images, targets = images.flip(3), targets.flip(3)
    scale = (1 + 0.1 * dice.normal(4))[:, None, None, None]
    shift = (0.1 * dice.normal(4))[:, None, None, None]
    return images * scale + shift * (images != 0), targets


def loss_of(outputs: list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    """Dice and cross entropy at each resolution. target: [n, 3, z, y, x]"""
    total = 0.0
    for level, (logits, weight) in enumerate(zip(outputs, LEVEL_WEIGHTS)):
        wanted = F.avg_pool3d(target, 2 ** level) if level else target
        logits = logits.float()
        share = logits.sigmoid()
        overlap = (share * wanted).sum((2, 3, 4))
        both = share.pow(2).sum((2, 3, 4)) + wanted.pow(2).sum((2, 3, 4))
        smooth = 40 / 8 ** level
        total = total + weight * ((1 - (2 * overlap + smooth) / (both + smooth)).mean() + 2 * F.binary_cross_entropy_with_logits(logits, wanted))
    return total / sum(LEVEL_WEIGHTS)


def learning_rate(part: float, peak: float) -> float:
    """Up for 3 %, level until half, then down along a cosine."""
    return peak * min(part / 0.03, 1) * (0.5 + 0.5 * math.cos(math.pi * max(2 * part - 1, 0))) + 1e-6


def train(arguments: argparse.Namespace) -> Trunk:
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    work = Path(arguments.work)
    cache = work / "sources.npz"
    work.mkdir(parents=True, exist_ok=True)
    data.sources(data.folder(arguments.data), cache)
    net = Trunk()
    if arguments.start is not None:
        net.load_state_dict(torch.load(arguments.start))
    net = net.to(memory_format=torch.channels_last_3d)
    mean = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=arguments.rate, weight_decay=1e-4)
    steps, change = arguments.steps, 0 if arguments.start is not None else int(arguments.steps * arguments.synthetic)
    first, without, shares = plan(arguments)
    dice = synth.Dice(arguments.seed + 77)
    began, running, kept = time.time(), 0.0, {}
    with ProcessPoolExecutor(arguments.workers, initializer=open_sources, initargs=(str(data.folder(arguments.data)), str(cache))) as pool:
        waiting, asked = {}, 0
        for step in range(steps):
            while asked < min(fresh(step + 60, arguments.reuse), fresh(steps, arguments.reuse)):
                waiting[asked] = pool.submit(made, first + asked, synth.WITHOUT_GLIOMA if asked < without else shares, work / "samples")
                asked += 1
            newest = fresh(step, arguments.reuse) - 1
            for number in [n for n in waiting if n <= newest]:
                kept[number] = waiting.pop(number).result()
                kept.pop(number - KEPT, None)
            # Mostly the newest, each about `reuse` times and some again later.
            oldest = max(newest - KEPT + 1, 0 if newest < without + 8 else without)
            number = max(newest - int(-math.log(1 - dice.uniform()) * 40), oldest)
            images, targets = (torch.from_numpy(a) for a in kept[number][:2])
            images, targets = images.float(), targets.float() / 255
            if step < arguments.whole * steps:
                images, targets = cropped(dice, images, targets, (64, 64, 64))
            images, targets = varied(dice, images, targets)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step / steps, arguments.rate)
            with torch.autocast("cpu", torch.bfloat16):
                outputs, _ = net(images[None].contiguous(memory_format=torch.channels_last_3d))
            loss = loss_of(outputs, targets[None])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimiser.step()
            decay = min(0.995, (step + 1) / (step + 10))
            with torch.no_grad():
                for a, b in zip(mean.parameters(), net.parameters()):
                    a.lerp_(b, 1 - decay)
            running = 0.97 * running + 0.03 * loss.item()
            if step % 20 == 19:
                print(f"{step + 1} {running / (1 - 0.97 ** (step + 1)):.4f} {kept[number][2]} newest {newest} {time.time() - began:.0f} s", flush=True)
            if step + 1 == change:
                torch.save(mean.state_dict(), work / "synthetic.pt")
            if step % 200 == 199 or step + 1 == steps:
                torch.save(mean.state_dict(), work / "trunk.pt")
    return mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", help="folder of the images (else HEALTHVISION_TEST_DATA, else ../shared/data)")
    parser.add_argument("--work", default="/tmp/brain-tumour-reference", help="folder for sources and checkpoints")
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--synthetic", type=float, default=0.4, help="share of the steps that see nothing of the glioma's patient")
    parser.add_argument("--whole", type=float, default=0.85, help="share of the steps on parts of 128 mm; the rest on whole windows")
    parser.add_argument("--reuse", type=float, default=2.0, help="steps for each new sample")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=1, help="processes that make samples")
    parser.add_argument("--start", help="weights of an earlier round, for a second one; give it another --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-samples", action="store_true", help="make the samples, keep them in the work folder, and do not train")
    arguments = parser.parse_args()
    make_ahead(arguments) if arguments.only_samples else train(arguments)


if __name__ == "__main__":
    main()
