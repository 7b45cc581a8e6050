import { describe, expect, it } from 'vitest';
import type { Finding } from './finding.js';
import { compareComputations, type Computation } from './reproduction.js';

const finding = (id: string, x: number, diameter: number): Finding => ({
  id, kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.8, location: { center: [x, 0, 0], sopInstanceUid: '1.2', frame: 1 }, measurements: [{ name: 'diameter', value: diameter, unit: 'mm' }],
});
const original: Computation = {
  findings: [finding('a', 0, 8), finding('b', 50, 5)], labels: [{ name: 'Mass', probability: 0.25, threshold: 0.5, positive: false }], segments: [{ number: 1, name: 'Core', volumeMl: 3 }],
  provenance: { inputDigest: 'sha256:1', software: '1.0.0', executionProvider: 'cpu', model: { name: 'm', version: '1.0.0', digest: 'sha256:0' } },
};

describe('comparing two computations', () => {
  it('finds them identical whatever the ids and the order of names, on other hardware too', () => {
    const again = { ...original, findings: [finding('c', 0, 8), finding('d', 50, 5)], labels: [{ positive: false, threshold: 0.5, probability: 0.25, name: 'Mass' }], provenance: { ...original.provenance, executionProvider: 'cuda' } };
    const { outcome, comparison } = compareComputations(original, again);
    expect(outcome).toBe('identical');
    expect(comparison).toMatchObject({ inputDigest: null, executionProvider: { original: 'cpu', again: 'cuda' }, findings: { matched: 2, missing: [], additional: 0 } });
  });

  it('says what differs, and by how much', () => {
    const { outcome, comparison } = compareComputations(original, {
      ...original, findings: [finding('c', 3, 8.5), finding('d', 80, 5), finding('e', 90, 5)], labels: [{ name: 'Mass', probability: 0.375, threshold: 0.5, positive: false }], segments: [],
      provenance: { ...original.provenance, inputDigest: 'sha256:2' },
    });
    expect(outcome).toBe('different');
    expect(comparison).toEqual({
      inputDigest: { original: 'sha256:1', again: 'sha256:2' }, software: null, executionProvider: null,
      findings: { original: 2, again: 3, matched: 1, missing: ['b'], additional: 2, maxScoreDifference: 0, maxDistanceMm: 3, measurements: [{ name: 'diameter', unit: 'mm', maxDifference: 0.5 }] },
      labels: { maxProbabilityDifference: 0.125, changed: [{ name: 'Mass', original: 0.25, again: 0.375 }] },
      segments: { maxVolumeDifferenceMl: 3, changed: [{ name: 'Core', originalMl: 3, againMl: null }] },
    });
  });

  it('does not call the same findings of other images identical', () => {
    expect(compareComputations(original, { ...original, provenance: { ...original.provenance, inputDigest: 'sha256:2' } }).outcome).toBe('different');
  });
});
