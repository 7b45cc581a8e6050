"""The scans that the model is chosen and measured on; every one follows from its seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import infer
import samples
from froc import Case, match

from scans import CONSENSUS, Scan

VALIDATION_SEED, TEST_SEED = 4242, 9001
# FROC is drawn from all detections down to this score, and no more than so many of a scan.
LOWEST, MOST = 0.02, 100


def phantoms(seed: int, count: int, nodules: int) -> Iterator[tuple[str, samples.Sample]]:
    """Made-up chests, every other one bare, at spacings that scanners have."""
    for n in range(count):
        rng = np.random.default_rng([seed, n])
        plain = n % 2 == 1
        sample = samples.made_up(rng, None, plain, nodules, least=3.6)
        sample.hu = samples.scanner(rng, sample.hu, True)
        yield f'{"bare" if plain else "chest"}-{n}', sample


def turned(background: samples.Background, seed: int, count: int, nodules: int) -> Iterator[tuple[str, samples.Sample, np.ndarray]]:
    """The training scan turned, with other nodules; with it, where it shows the slab that was held out."""
    for n in range(count):
        rng = np.random.default_rng([seed, n, 1])
        sample, held = background.whole(rng, nodules)
        sample.hu = samples.scanner(rng, sample.hu)
        yield f'turned-{n}', sample, held


def judge(name: str, sample: samples.Sample, run: infer.Run) -> Case:
    found = infer.detect(sample.hu, run, LOWEST, MOST)
    truth = [(n.centre, n.diameter, n.kind) for n in sample.nodules]
    return match(name, found.centres * samples.SPACING, found.scores, truth, sample.ignored, float(np.median(found.strangeness)))


def judge_real(scan: Scan, run: infer.Run) -> tuple[Case, infer.Found, np.ndarray]:
    """A real scan as it is; centres in LPS mm."""
    found = infer.detect(scan.hu, run, LOWEST, MOST, scan.spacing)
    mm = found.centres * samples.SPACING + scan.origin
    truth = [(m.centre, float(np.prod(m.size) ** (1 / 3)), 'real') for m in scan.marks if m.readers >= CONSENSUS]
    ignored = [(m.centre, float(m.size.max() / 2 + 3)) for m in scan.marks if m.readers < CONSENSUS]
    return match(scan.name, mm, found.scores, truth, ignored, float(np.median(found.strangeness))), found, mm
