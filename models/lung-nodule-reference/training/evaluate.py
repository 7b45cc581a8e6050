"""Every figure of the card from the shipped file, with onnxruntime alone. The test scans are made or opened here and nowhere else."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime

import cases
import infer
import samples
from froc import RATES, Case, summary, threshold_at
from scans import TEST_SCAN, TRAIN_SCAN, data_folder, load, lung_depth

PACK = Path(__file__).resolve().parents[1]
TOLERANCE = 0.01
# False positives a scan that the threshold is chosen for.
AIM = 4.0


def open_model(path: Path, threads: int) -> infer.Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return lambda window: tuple(session.run(['classification', 'box_regression', 'strangeness'], {'image': window}))


def progress(case: Case) -> Case:
    print(f'{case.name}: {sum(s > 0.5 for s in case.scores)}/{len(case.scores)} found, false positives {[round(s, 2) for s in sorted(case.false, reverse=True)[:6]]}, strangeness {case.strangeness:.2f}', flush=True)
    return case


def validation(run: infer.Run, background: samples.Background, count: int) -> list[Case]:
    """Made-up chests, and the turned training scan with made-up nodules."""
    found = [progress(cases.judge(name, sample, run)) for name, sample in cases.phantoms(cases.VALIDATION_SEED, count, 8)]
    for name, sample, _ in cases.turned(background, cases.VALIDATION_SEED, count, 8):
        found.append(progress(cases.judge(name, sample, run)))
    return found


def strange_inputs(hu: np.ndarray) -> dict[str, np.ndarray]:
    """What is no chest CT in Hounsfield units, made of one. hu at the network's spacing."""
    rng = np.random.default_rng(5)
    return {
        'values 1,000 HU too high': hu + 1000,
        'values inverted': -hu - 600,
        'lying on its side (coronal as axial)': np.ascontiguousarray(hu.transpose(0, 2, 1)),
        'noise': rng.uniform(-1000, 400, hu.shape).astype(np.float32),
        'abdomen alone': hu[:, :, : hu.shape[2] // 5],
        'heavy noise of 300 HU': hu + rng.normal(0, 300, hu.shape).astype(np.float32),
        'soft tissue everywhere': np.full(hu.shape, 40, np.float32) + rng.normal(0, 20, hu.shape).astype(np.float32),
    }


def median_strangeness(hu: np.ndarray, run: infer.Run) -> float:
    """Of the 96 slices in the middle, which is what one layer of windows sees."""
    first = max(hu.shape[2] - 96, 0) // 2
    return float(np.median(infer.blend(samples.normalise(np.ascontiguousarray(hu[:, :, first : first + 96])), run)[2]))


def evaluate(data: Path, model: Path, threads: int, threshold: float, strange: float, phantoms: int) -> dict:
    run = open_model(model, threads)
    made = [progress(cases.judge(name, sample, run)) for name, sample in cases.phantoms(cases.TEST_SEED, phantoms, 15)]
    figures: dict = {'phantoms': summary(made, threshold)}
    for part in ('bare', 'chest'):
        figures[f'phantoms-{part}'] = summary([c for c in made if c.name.startswith(part)], threshold)
    real: dict[str, dict] = {}
    for name in (TEST_SCAN, TRAIN_SCAN):
        scan = load(data, name)
        began = time.time()
        case, found, mm = cases.judge_real(scan, run)
        seconds = time.time() - began
        over = found.scores > threshold
        real[name] = {
            'role': 'test' if name == TEST_SCAN else 'training',
            'slices': int(scan.hu.shape[2]),
            'nodules': [{'diameterMm': round(d, 1), 'score': round(s, 4), 'distanceMm': round(away, 2), 'rank': int(1 + (found.scores > s).sum())} for d, s, away in zip(case.diameters, case.scores, case.distances)],
            'detections': int(over.sum()),
            'falsePositives': int(sum(s > threshold for s in case.false)),
            'falsePositiveScores': [round(s, 4) for s in sorted(case.false, reverse=True)[:12]],
            'strangeness': round(case.strangeness, 4),
        }
        print(name, json.dumps(real[name]), f'{seconds:.1f} s', flush=True)
        if name == TEST_SCAN:
            hu = samples.resample(scan.hu.astype(np.float32), scan.spacing)
            rng = np.random.default_rng(6)
            varied = [median_strangeness(samples.scanner(rng, hu), run) for _ in range(4)]
            figures['strange'] = {name: round(median_strangeness(v, run), 3) for name, v in strange_inputs(hu).items()}
    figures['scans'] = real
    medians = [c.strangeness for c in made]
    figures['outOfDistribution'] = {
        'threshold': strange,
        'phantoms': {'falseAlarmRate': round(float(np.mean(np.array(medians) > strange)), 4), 'n': len(medians)},
        f'{TEST_SCAN} as four scanners': {'falseAlarmRate': round(float(np.mean(np.array(varied) > strange)), 4), 'n': len(varied), 'values': [round(v, 3) for v in varied]},
        'flagged': {name: bool(v > strange) for name, v in figures['strange'].items()},
    }
    return figures


def differences(a: object, b: object, at: str = '') -> list[str]:
    """Where two trees of figures are further apart than the tolerance."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for key in sorted({*a, *b}) for d in differences(a.get(key), b.get(key), f'{at}/{key}')]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for n, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, f'{at}/{n}')]
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return [] if abs(a - b) <= TOLERANCE * max(1.0, abs(a)) else [f'{at}: {a} was expected, {b} found']
    return [] if a == b else [f'{at}: {a} was expected, {b} found']


def store(key: str, value: object) -> None:
    path = PACK / 'figures.json'
    before = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
    path.write_text(json.dumps({**before, key: value}, indent=2) + '\n', encoding='utf-8')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', help='folder that holds ct/')
    parser.add_argument('--model', type=Path, default=PACK / 'model.onnx')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--phantoms', type=int, default=16, help='test phantoms, 15 nodules each')
    parser.add_argument('--check', action='store_true', help='compare with figures.json instead of writing it')
    parser.add_argument('--choose', type=int, metavar='N', help='only the validation scans, N made-up and N turned: writes chosen.json, opens no test scan')
    parser.add_argument('--threshold', type=float, help='with --choose: the score to take instead of the suggested one')
    parser.add_argument('--depth', type=Path, help='depth.npy of the training, for --choose')
    options = parser.parse_args()
    data = data_folder(options.data)
    if options.choose:
        scan = load(data, TRAIN_SCAN)
        background = samples.Background(scan, np.load(options.depth) if options.depth else lung_depth(scan))
        found = validation(open_model(options.model, options.threads), background, options.choose)
        suggested = {f'{rate:g}': round(threshold_at(found, rate), 4) for rate in RATES}
        strangeness = sorted(c.strangeness for c in found)
        threshold = options.threshold or suggested[f'{AIM:g}']
        chosen = {'threshold': threshold, 'thresholdAtFalsePositives': suggested, 'strangeness': round(float(np.percentile(strangeness, 95)), 4), 'strangenessN': len(found)}
        print(json.dumps(chosen), {p: threshold_at([c for c in found if c.name.startswith(p)], AIM) for p in ('bare', 'chest', 'turned')})
        parts = {'all': found, 'made-up': [c for c in found if not c.name.startswith('turned')], 'turned': [c for c in found if c.name.startswith('turned')]}
        store('validation', {name: summary(part, threshold) for name, part in parts.items()})
        (PACK / 'training' / 'chosen.json').write_text(json.dumps(chosen, indent=2) + '\n', encoding='utf-8')
        return
    manifest = json.loads((PACK / 'manifest.json').read_text(encoding='utf-8'))
    chosen = json.loads((PACK / 'training' / 'chosen.json').read_text(encoding='utf-8'))
    figures = {'model': {'bytes': options.model.stat().st_size, 'sha256': hashlib.sha256(options.model.read_bytes()).hexdigest()}, 'threshold': manifest['postprocessing']['scoreThreshold'], **evaluate(data, options.model, options.threads, manifest['postprocessing']['scoreThreshold'], chosen['strangeness'], options.phantoms)}
    if options.check:
        kept = json.loads((PACK / 'figures.json').read_text(encoding='utf-8'))
        wrong = differences({k: v for k, v in kept.items() if k in figures}, figures)
        print('\n'.join(wrong) or 'All figures agree.')
        raise SystemExit(1 if wrong else 0)
    for key, value in figures.items():
        store(key, value)


if __name__ == '__main__':
    main()
