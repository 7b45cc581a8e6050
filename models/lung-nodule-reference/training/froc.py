"""Matching of detections with nodules, FROC, and intervals. Millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RATES = (0.125, 0.25, 0.5, 1, 2, 4, 8)
SIZES = ((3, 6), (6, 10), (10, 20), (20, 31))


@dataclass
class Case:
    """One scan: of each nodule its diameter, kind, best score and distance of that detection (mm; 0 and inf when missed); scores of false positives."""

    name: str
    diameters: list[float]
    kinds: list[str]
    scores: list[float]
    distances: list[float]
    false: list[float]
    strangeness: float = 0.0


def match(name: str, centres: np.ndarray, scores: np.ndarray, truth: list[tuple[np.ndarray, float, str]], ignored: list[tuple[np.ndarray, float]], strangeness: float = 0.0) -> Case:
    """A detection hits a nodule when it is no further from its centre than the radius, or 3 mm (LUNA16 has the radius; small ones would need half a voxel). truth: centre, diameter, kind."""
    case = Case(name, [], [], [], [], [], strangeness)
    used = np.zeros(len(scores), bool)
    for centre, diameter, kind in truth:
        away = np.linalg.norm(centres - centre, axis=1) if len(scores) else np.zeros(0)
        hits = np.flatnonzero(away <= max(diameter / 2, 3.0))
        used[hits] = True
        best = hits[np.argmax(scores[hits])] if len(hits) else None
        case.diameters.append(diameter)
        case.kinds.append(kind)
        case.scores.append(float(scores[best]) if best is not None else 0.0)
        case.distances.append(float(away[best]) if best is not None else float('inf'))
    for n in np.flatnonzero(~used):
        if not any(np.linalg.norm(centres[n] - c) <= r for c, r in ignored):
            case.false.append(float(scores[n]))
    return case


def threshold_at(cases: list[Case], rate: float) -> float:
    """The lowest score with no more false positives a scan than rate."""
    false = sorted((s for c in cases for s in c.false), reverse=True)
    allowed = int(rate * len(cases))
    return false[allowed] if len(false) > allowed else 0.0


def sensitivity(cases: list[Case], threshold: float, least: float = 0.0, most: float = 99.0, kind: str | None = None, within: float | None = None) -> dict:
    """Share of nodules with a score above the threshold, with an interval over resampled scans. within: only hits as near as this (mm)."""
    rows = [[(s > threshold) and (within is None or d <= within) for s, d, size, k in zip(c.scores, c.distances, c.diameters, c.kinds) if least <= size < most and kind in (None, k)] for c in cases]
    n = sum(len(r) for r in rows)
    if n == 0:
        return {'value': None, 'n': 0}
    hits, counts = np.array([sum(r) for r in rows]), np.array([len(r) for r in rows])
    rng = np.random.default_rng(1)
    draws = rng.integers(0, len(rows), (2000, len(rows)))
    shares = hits[draws].sum(1) / np.maximum(counts[draws].sum(1), 1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return {'value': round(float(hits.sum() / n), 4), 'ci95': [round(float(low), 4), round(float(high), 4)], 'n': int(n)}


def summary(cases: list[Case], threshold: float) -> dict:
    """All figures of a set of scans."""
    hit = [d for c in cases for d, s in zip(c.distances, c.scores) if s > threshold]
    per_scan = [sum(s > threshold for s in c.false) for c in cases]
    rng = np.random.default_rng(1)
    means = np.array(per_scan)[rng.integers(0, len(cases), (2000, len(cases)))].mean(1)
    rates = {f'{r:g}': sensitivity(cases, threshold_at(cases, r)) for r in RATES}
    return {
        'scans': len(cases),
        'froc': rates,
        'froc6mm': {f'{r:g}': sensitivity(cases, threshold_at(cases, r), least=6) for r in RATES},
        'cpm': round(float(np.mean([v['value'] for v in rates.values()])), 4),
        'atThreshold': {
            'sensitivity': sensitivity(cases, threshold),
            'sensitivity6mm': sensitivity(cases, threshold, least=6),
            'within3mm6mm': sensitivity(cases, threshold, least=6, within=3.0),
            'within2mm': sensitivity(cases, threshold, within=2.0),
            'bySize': {f'{a}-{min(b, 30)} mm': sensitivity(cases, threshold, a, b) for a, b in SIZES},
            'byKind': {k: sensitivity(cases, threshold, kind=k) for k in sorted({k for c in cases for k in c.kinds})},
            'falsePositivesPerScan': {'value': round(float(np.mean(per_scan)), 3), 'ci95': [round(float(v), 3) for v in np.percentile(means, [2.5, 97.5])], 'most': int(max(per_scan))},
            'distanceMm': {'median': round(float(np.median(hit)), 2), 'p95': round(float(np.percentile(hit, 95)), 2)} if hit else None,
        },
    }
