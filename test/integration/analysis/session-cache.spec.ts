import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Manifest } from '../../../src/imaging/model/manifest.js';
import { sha256Hex } from '../../../src/kernel/digest.js';
import type { ComputeModel } from '../../../src/platform/compute/compute-protocol.js';
import { SessionCache } from '../../../src/platform/compute/session-cache.js';
import { parseConfig } from '../../../src/platform/config.js';
import { gpuOptions } from '../../../src/platform/compute/gpu-options.js';
import { PACKS } from './model-packs.js';

/** A model of networks of other packs. */
function modelOf(...packs: string[]): ComputeModel {
  const manifest = JSON.parse(readFileSync(join(PACKS, 'bright', 'manifest.json'), 'utf8')) as Manifest;
  const files = packs.map((pack) => {
    const file = join(PACKS, pack, 'model.onnx');
    return { path: `${pack}.onnx`, file, sha256: sha256Hex(readFileSync(file)) };
  });
  return { manifest, digest: `sha256:${packs.join('+')}`, files };
}

describe('the sessions of a thread', () => {
  const fallbacks: string[] = [];
  let resident = 0;
  const cache = new SessionCache({ providers: ['cuda', 'cpu'], strict: false, gpu: gpuOptions(parseConfig({})), intraOpThreads: 1 }, { maxModels: 4, maxBytes: 2 ** 30 }, (news) => { if (news.kind === 'fallback') fallbacks.push(news.fallback.wanted); if (news.kind === 'resident') resident = news.resident.cpu ?? 0; });
  const image = { image: { data: new Float32Array(28 * 28).fill(0.5), dims: [1, 1, 28, 28] } };
  afterEach(() => { fallbacks.length = 0; });

  it('of a model with one network is the same one each time', async () => {
    const model = modelOf('bright');
    const first = await cache.get(model, 'bright.onnx');
    await cache.rest(model);
    expect(await cache.get(model, 'bright.onnx')).toBe(first);
  });

  it('of a model with several can be used again after another was opened, and after a rest; the provider is told once', async () => {
    const model = modelOf('bright', 'nan-dark');
    const first = await cache.get(model, 'bright.onnx');
    const before = await first.run(image);
    const second = await cache.get(model, 'nan-dark.onnx');
    expect(second.inputNames).not.toEqual([]);
    expect(await first.run(image)).toEqual(before);
    await cache.rest(model);
    expect(await first.run(image)).toEqual(before);
    expect(fallbacks).toEqual(['cuda', 'cuda']);
    // One of the model before, and one of the two of this.
    expect(resident).toBe(2);
    await cache.rest(model);
    expect(resident).toBe(1);
    await expect(cache.get(model, 'absent.onnx')).rejects.toMatchObject({ code: 'model-load-failed' });
  });
});
