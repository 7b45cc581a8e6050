"""Trains the detector: rounds of made-up and real crops, the false positives of each round put before it in the next."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

import infer
import samples
from network import Detector
from scans import TRAIN_SCAN, data_folder, load, lung_depth
from targets import loss, targets

SIZE = (48, 48, 48)
# Crops of the real scan, of chests with vessels and bones, and of bare ones in a batch.
MIX = (4, 1, 1)


class Crops(IterableDataset):
    """Batches of one round, the same for the same seed."""

    def __init__(self, background: samples.Background, hard: np.ndarray, seed: list[int], batches: int) -> None:
        self.background, self.hard, self.seed, self.batches = background, hard, seed, batches

    def __iter__(self):
        torch.set_num_threads(1)
        rng = np.random.default_rng(self.seed)
        self.background.hard = self.hard
        # A made-up chest takes long to draw; each is shown three times, as other scanners see it.
        pools: dict[bool, list[samples.Sample]] = {False: [], True: []}
        for _ in range(self.batches):
            rows = []
            for n in range(sum(MIX)):
                plain = n >= MIX[0] + MIX[1]
                if n < MIX[0]:
                    sample = self.background.crop(rng, SIZE)
                else:
                    pool = pools[plain]
                    if len(pool) < 12 or rng.random() < 1 / 3:
                        pool.append(samples.made_up(rng, SIZE, plain))
                        del pool[:-12]
                    sample = pool[rng.integers(len(pool))]
                hu = samples.scanner(rng, sample.hu, n >= MIX[0])
                rows.append((samples.normalise(hu)[None], *targets(sample)))
            yield tuple(torch.from_numpy(np.stack(column)) for column in zip(*rows))


def as_run(net: Detector) -> infer.Run:
    def run(window: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
            logits, codes, pooled = net(torch.from_numpy(window).contiguous(memory_format=torch.channels_last_3d))
        return logits.float().numpy(), codes.float().numpy(), np.zeros(1)
    return run


def mine(net: Detector, background: samples.Background) -> tuple[np.ndarray, list[float]]:
    """Voxels of the real scan where the network sees nodules and no radiologist marked any, outside of the held-out slab; and the best scores inside of it."""
    scan = background.scan
    found = infer.detect(scan.hu, as_run(net.eval()), 0.05, 400, scan.spacing)
    mm = found.centres * samples.SPACING + scan.origin
    wrong = np.array([all(np.linalg.norm(m - mark.centre) > mark.size.max() / 2 + 5 for mark in scan.marks) for m in mm], bool)
    held = (mm[:, 2] > samples.HELD_OUT[0]) & (mm[:, 2] < samples.HELD_OUT[1])
    hard = scan.index(mm[wrong & ~held][:120])
    return hard.reshape(-1, 3), [round(float(s), 3) for s in found.scores[wrong & held][:12]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', help='folder that holds ct/')
    parser.add_argument('--work', type=Path, default=Path('work'), help='where weights and the log go')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--steps', type=int, default=270, help='steps of one round')
    parser.add_argument('--rate', type=float, default=2e-3)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--start', type=Path, help='weights to go on from')
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    scan = load(data_folder(options.data), TRAIN_SCAN)
    cache = options.work / 'depth.npy'
    if not cache.exists():
        np.save(cache, lung_depth(scan))
    background = samples.Background(scan, np.load(cache))
    net = Detector()
    if options.start:
        net.load_state_dict(torch.load(options.start, weights_only=True))
    net = net.to(memory_format=torch.channels_last_3d)
    average = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), options.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=options.rounds * options.steps, pct_start=0.15)
    hard = np.zeros((0, 3))
    began = time.time()
    for number in range(options.rounds):
        net.train()
        if number == options.rounds - 1:
            # The last round learns with the statistics that inference will have.
            for module in net.modules():
                if isinstance(module, torch.nn.BatchNorm3d):
                    module.eval()
        sums, done = np.zeros(2), 0
        for image, wanted, weight, aim, boxed in DataLoader(Crops(background, hard, [options.seed, number], options.steps), batch_size=None, num_workers=1, prefetch_factor=8):
            with torch.autocast('cpu', torch.bfloat16):
                logits, codes, _ = net(image.contiguous(memory_format=torch.channels_last_3d))
            focal, box = loss(logits, codes, wanted, weight, aim, boxed)
            optimiser.zero_grad()
            (focal + 2 * box).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(net)
            sums, done = sums + [float(focal), float(box)], done + 1
            if done % 20 == 0:
                print(json.dumps({'round': number, 'step': done, 'focal': round(sums[0] / done, 4), 'box': round(sums[1] / done, 4), 'seconds': round(time.time() - began)}), flush=True)
        torch.save(average.module.state_dict(), options.work / f'round-{number}.pt')
        hard, held = mine(average.module, background)
        print(json.dumps({'round': number, 'hard': len(hard), 'heldOut': held, 'seconds': round(time.time() - began)}), flush=True)
    torch.save(average.module.state_dict(), options.work / 'detector.pt')


if __name__ == '__main__':
    main()
