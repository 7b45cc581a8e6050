import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../kernel/errors.js';
import { parseManifest } from '../manifest.js';

type Json = Record<string, unknown>;
const pack = (name: string): Json => JSON.parse(readFileSync(`test/model-packs/${name}/manifest.json`, 'utf8')) as Json;
const part = (json: Json, key: string): Json => json[key] as Json;

function faultsOf(json: unknown): Record<string, string> {
  try {
    parseManifest(json);
  } catch (error) {
    if (error instanceof AppError && error.code === 'manifest-invalid') return Object.fromEntries((error.errors ?? []).map(({ pointer, detail }) => [pointer, detail]));
    throw error;
  }
  return {};
}

describe('the manifest of retinanet-3d', () => {
  const json = pack('retinanet-3d-tiny');
  const network = part(json, 'network');

  it('names the key that was meant, in a window too', () => {
    expect(faultsOf({ ...json, window: { ...part(json, 'window'), overlapp: 0.2 } })).toEqual({ '/window/overlapp': 'unknown key; did you mean "overlap"?' });
  });

  it('refuses what contradicts itself', () => {
    expect(faultsOf({ ...json, network: { ...network, path: 'other.onnx' } })).toHaveProperty('/network/path');
    expect(faultsOf({ ...json, window: { ...part(json, 'window'), size: [64, 60, 32] } })).toEqual({ '/window/size/1': 'is not a multiple of 16' });
    expect(faultsOf({ ...json, network: { ...network, input: { name: 'image', shape: [1, 1, 96, 64, 32], type: 'float32' } } })).toEqual({ '/window/size/0': "is not the input's size 96", '/wholeWhenSmaller': 'needs an input of any size' });
    expect(faultsOf({ ...json, network: { ...network, levels: [{ classification: 'a', boxRegression: 'a', anchorScale: 1 }] } })).toEqual({ '/network/levels/0/boxRegression': 'is named twice' });
    expect(faultsOf({ ...json, network: { ...network, levels: [{ classification: 'a', anchorScale: 1 }] } })).toEqual({ '/network/levels/0/boxRegression': 'must be named: other outputs are' });
    expect(faultsOf({ ...json, preprocessing: { ...part(json, 'preprocessing'), axes: 'RLS' } })).toHaveProperty('/preprocessing/axes');
    expect(faultsOf({ ...json, network: { ...network, input: { shape: ['batch', 2, 'x', 'y', 'z'], type: 'float32' } } })).toHaveProperty('/network/input/shape/1');
  });
});

describe('the manifest of sliding-window-segmentation', () => {
  const json = pack('segresnet-tiny');
  const post = part(json, 'postprocessing');

  it('refuses what contradicts itself', () => {
    expect(faultsOf({ ...json, channels: ['t1', 't2'] })).toHaveProperty('/channels');
    expect(faultsOf({ ...json, channels: ['t1', 't1', 't2', 'flair'] })).toEqual({ '/channels/1': 'is named twice' });
    expect(faultsOf({ ...json, postprocessing: { ...post, values: [{ channel: 3, value: 1 }] } })).toEqual({ '/postprocessing/values/0/channel': 'the output has 3 channels' });
    expect(faultsOf({ ...json, postprocessing: { ...post, threshold: 1 } })).toHaveProperty('/postprocessing/threshold');
    expect(faultsOf({ ...json, window: { ...part(json, 'window'), overlap: 1 } })).toHaveProperty('/window/overlap');
    expect(faultsOf({ ...json, window: { size: [32, 24, 16], overlap: 0.5, blending: 'gaussian' } })).toHaveProperty('/window/sigmaScale');
  });
});
