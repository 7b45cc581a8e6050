import { describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { modelDigest } from './digest.js';
import { parseManifest } from './manifest.js';

const valid = () => ({
  manifestVersion: 1, name: 'some-model', version: '1.0.0', title: 'Some model', license: 'Apache-2.0', intendedUse: 'Tests.',
  analysis: 'chest-xray-classification', recipe: 'image-classifier',
  domain: { modalities: ['CR', 'DX'], bodyParts: ['CHEST'], viewPositions: ['AP', 'PA'], ageYears: { min: 1, max: 5 } },
  files: [{ path: 'model.onnx', sha256: '0'.repeat(64) }],
  input: { name: 'image', shape: ['batch', 1, 28, 28], type: 'float32' },
  outputs: { logits: { name: 'logits', shape: ['batch', 1] } },
  preprocessing: { crop: 'centre-square', resize: { height: 28, width: 28, interpolation: 'area' }, scale: 255, mean: [0], std: [1] },
  postprocessing: { activation: 'sigmoid', calibration: { method: 'platt', slope: 1.5, intercept: -0.2 } },
  labels: [{ index: 0, name: 'Pneumonia', names: { 'zh-CN': '肺炎' }, code: { system: 'SNOMED-CT', value: '233604007', meaning: 'Pneumonia' }, threshold: 0.5 }],
  validation: [{ dataset: 'D', split: 'test', metric: 'AUC', label: 'Pneumonia', value: 0.97, ci95: [0.95, 0.98], n: 624 }],
});

function faultsOf(json: unknown): Record<string, string> {
  try {
    parseManifest(json);
  } catch (error) {
    if (error instanceof AppError && error.code === 'manifest-invalid') return Object.fromEntries((error.errors ?? []).map(({ pointer, detail }) => [pointer, detail]));
    throw error;
  }
  return {};
}

describe('parseManifest', () => {
  it('fills in the defaults', () => {
    const manifest = parseManifest(valid());
    expect(manifest.domain).toMatchObject({ unknownAge: 'outside', unknownView: 'inside', unknownBodyPart: 'inside' });
    expect(manifest.labels[0]).toMatchObject({ critical: false, enabled: true });
  });

  it('takes how a model tells strange images, and refuses what is no rate', () => {
    const outOfDistribution = { output: 'strangeness', threshold: 31.5, falseAlarmRate: 0.05, n: 200 };
    expect(parseManifest({ ...valid(), outOfDistribution }).outOfDistribution).toEqual(outOfDistribution);
    expect(parseManifest(valid()).outOfDistribution).toBeUndefined();
    expect(faultsOf({ ...valid(), outOfDistribution: { ...outOfDistribution, falseAlarmRate: 5 } })).toHaveProperty('/outOfDistribution/falseAlarmRate');
    expect(faultsOf({ ...valid(), outOfDistribution: { ...outOfDistribution, n: 0.5 } })).toHaveProperty('/outOfDistribution/n');
    expect(faultsOf({ ...valid(), outOfDistribution: { ...outOfDistribution, treshold: 1 } })).toEqual({ '/outOfDistribution/treshold': 'unknown key; did you mean "threshold"?' });
  });

  it('takes why a label is off, of one that is off alone', () => {
    const [label] = valid().labels;
    const other = { ...label, index: 1, name: 'Hernia' };
    const two = { ...valid(), outputs: { logits: { name: 'logits', shape: ['batch', 2] } } };
    expect(parseManifest({ ...two, labels: [label, { ...other, enabled: false, disabledBecause: 'unmeasured' }] }).labels[1]).toMatchObject({ enabled: false, disabledBecause: 'unmeasured' });
    expect(faultsOf({ ...two, labels: [label, { ...other, disabledBecause: 'unmeasured' }] })).toEqual({ '/labels/1/disabledBecause': 'goes with "enabled": false only' });
  });

  it('names the path of an unknown key and the key that was meant', () => {
    const json = valid();
    expect(faultsOf({ ...json, licence: 'x' })).toEqual({ '/licence': 'unknown key; did you mean "license"?' });
    expect(faultsOf({ ...json, preprocessing: { ...json.preprocessing, resize: { ...json.preprocessing.resize, heigth: 28 } } })).toEqual({ '/preprocessing/resize/heigth': 'unknown key; did you mean "height"?' });
    expect(faultsOf({ ...json, labels: [{ ...json.labels[0], treshold: 0.5 }] })).toEqual({ '/labels/0/treshold': 'unknown key; did you mean "threshold"?' });
    expect(faultsOf({ ...json, postprocessing: { activation: 'sigmoid', calibration: { method: 'platt', slope: 1, intercept: 0, intercpt: 2 } } })).toEqual({ '/postprocessing/calibration/intercpt': 'unknown key; did you mean "intercept"?' });
    expect(faultsOf({ ...json, zebra: 1 })).toEqual({ '/zebra': 'unknown key' });
  });

  it('refuses what contradicts itself', () => {
    const json = valid();
    expect(faultsOf({ ...json, preprocessing: { ...json.preprocessing, mean: [0, 0, 0] } })).toHaveProperty('/preprocessing/mean');
    expect(faultsOf({ ...json, preprocessing: { ...json.preprocessing, resize: { ...json.preprocessing.resize, width: 32 } } })).toHaveProperty('/preprocessing/resize/width');
    expect(faultsOf({ ...json, postprocessing: { ...json.postprocessing, activation: 'softmax' } })).toHaveProperty('/postprocessing/calibration/method');
    expect(faultsOf({ ...json, labels: [{ ...json.labels[0], index: 1 }] })).toHaveProperty('/labels/0/index');
    expect(faultsOf({ ...json, domain: { ...json.domain, ageYears: { min: 6, max: 5 } } })).toHaveProperty('/domain/ageYears');
    expect(faultsOf({ ...json, files: [{ path: '../model.onnx', sha256: '0'.repeat(64) }] })).toHaveProperty('/files/0/path');
    expect(faultsOf({ ...json, name: 'A Model' })).toHaveProperty('/name');
    expect(faultsOf('text')).toHaveProperty('');
  });
});

describe('modelDigest', () => {
  const manifest = new TextEncoder().encode('{}');
  const files = [{ path: 'b.onnx', sha256: '1'.repeat(64) }, { path: 'a.onnx', sha256: '2'.repeat(64) }];

  it('is what sha256sum gives over its own list, whatever the order of the files', () => {
    // printf '{}' > manifest.json; the list of three lines through sha256sum.
    expect(modelDigest(manifest, files)).toBe(modelDigest(manifest, [...files].reverse()));
    expect(modelDigest(manifest, [])).toBe('sha256:d253681933d362ba61a9d6069924b56c218028de2a01c0849a7bd681cc749fdb');
  });

  it('changes with any file and with the layout of the manifest', () => {
    const digests = [modelDigest(manifest, files), modelDigest(manifest, files.slice(1)), modelDigest(new TextEncoder().encode('{ }'), files)];
    expect(new Set(digests).size).toBe(3);
  });
});
