"""Writes the digest of model.onnx, the chosen threshold and the measured figures into manifest.json."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

PACK = Path(__file__).resolve().parents[1]


def entry(dataset: str, split: str, metric: str, figure: dict) -> dict:
    """One line of the manifest's `validation`."""
    return {'dataset': dataset, 'split': split, 'metric': metric, 'label': 'Nodule', 'value': figure['value'], 'ci95': figure['ci95'], **({'n': figure['n']} if 'n' in figure else {})}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    manifest = json.loads((PACK / 'manifest.json').read_text(encoding='utf-8'))
    chosen = json.loads((PACK / 'training' / 'chosen.json').read_text(encoding='utf-8'))
    manifest['files'][0]['sha256'] = hashlib.sha256((PACK / 'model.onnx').read_bytes()).hexdigest()
    manifest['postprocessing']['scoreThreshold'] = manifest['labels'][0]['threshold'] = chosen['threshold']
    figures = json.loads((PACK / 'figures.json').read_text(encoding='utf-8'))
    if 'phantoms' in figures:
        at = figures['phantoms']['atThreshold']
        rate = at['falsePositivesPerScan']
        alarms = figures['outOfDistribution']['phantoms']
        manifest['outOfDistribution'] = {'output': 'strangeness', 'threshold': chosen['strangeness'], **alarms}
        manifest['validation'] = [
            entry('made-up chests with known nodules', 'test', 'sensitivity', at['sensitivity']),
            entry('made-up chests with known nodules', 'test', 'sensitivity from 6 mm', at['sensitivity6mm']),
            entry('made-up chests with known nodules', 'test', 'sensitivity from 6 mm within 3 mm', at['within3mm6mm']),
            entry('made-up chests with known nodules', 'test', 'false positives a scan', {**rate, 'n': figures['phantoms']['scans']}),
        ]
    (PACK / 'manifest.json').write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
