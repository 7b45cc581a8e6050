import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Metrics } from '../ops/metrics.js';
import { GpuMetrics } from './gpu-metrics.js';
import { parseGpus } from './nvidia-smi.js';

const MIB = 2 ** 20;

describe('what nvidia-smi says', () => {
  it('is read in bytes and shares', () => {
    expect(parseGpus('0, 2048, 143771, 37\n1, 0, 24576, 100\n')).toEqual([
      { gpu: '0', usedBytes: 2048 * MIB, sizeBytes: 143_771 * MIB, utilization: 0.37 },
      { gpu: '1', usedBytes: 0, sizeBytes: 24_576 * MIB, utilization: 1 },
    ]);
  });

  it('may leave out what a GPU under MIG, or a permission, keeps', () => {
    expect(parseGpus('0, 512, 81920, [N/A]\n1, [Insufficient Permissions], [Insufficient Permissions], [N/A]\n')).toEqual([
      { gpu: '0', usedBytes: 512 * MIB, sizeBytes: 81_920 * MIB, utilization: undefined },
      { gpu: '1', usedBytes: undefined, sizeBytes: undefined, utilization: undefined },
    ]);
  });

  it('may be words', () => {
    expect(parseGpus('No devices were found\n')).toEqual([]);
  });
});

describe('the metrics of GPUs', () => {
  const path = process.env.PATH;
  let folder: string;
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'healthvision-smi-')); });
  afterEach(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  });

  /** Puts a tool of that name first in the way. */
  function tool(script: string): void {
    const file = join(folder, 'nvidia-smi');
    writeFileSync(file, `#!/bin/sh\necho called >> "${folder}/calls"\n${script}\n`);
    chmodSync(file, 0o755);
    process.env.PATH = `${folder}:${path ?? ''}`;
  }

  async function scrape(metrics: Metrics): Promise<string[]> {
    return (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('healthvision_gpu_'));
  }

  it('are those of the tool, which is asked once for all of them', async () => {
    tool('test "$1" = --query-gpu=index,memory.used,memory.total,utilization.gpu || exit 1\necho "0, 1024, 2048, 50"; echo "1, 1, 2, [N/A]"');
    const metrics = new Metrics();
    new GpuMetrics(metrics);
    let scrapes = 0;
    // On a busy machine the tool may be too late for the first.
    const lines = await vi.waitUntil(async () => {
      scrapes++;
      const found = await scrape(metrics);
      return found.length > 0 && found;
    }, { timeout: 20_000 });
    expect(lines).toEqual([
      `healthvision_gpu_memory_used_bytes{gpu="0"} ${String(1024 * MIB)}`, `healthvision_gpu_memory_used_bytes{gpu="1"} ${String(MIB)}`,
      `healthvision_gpu_memory_size_bytes{gpu="0"} ${String(2048 * MIB)}`, `healthvision_gpu_memory_size_bytes{gpu="1"} ${String(2 * MIB)}`,
      'healthvision_gpu_utilization_ratio{gpu="0"} 0.5',
    ]);
    expect(readFileSync(join(folder, 'calls'), 'utf8').split('\n').length - 1).toBeLessThanOrEqual(scrapes);
  });

  it('are missing where there is no tool, or it fails', async () => {
    process.env.PATH = folder;
    const none = new Metrics();
    new GpuMetrics(none);
    expect(await scrape(none)).toEqual([]);
    tool('echo "0, 1, 2, 3"; exit 9');
    const failing = new Metrics();
    new GpuMetrics(failing);
    expect(await scrape(failing)).toEqual([]);
  });

  it('come with a later scrape from a tool that takes its time', async () => {
    tool('sleep 1.5; echo "0, 1, 2, 3"');
    const metrics = new Metrics();
    new GpuMetrics(metrics);
    expect(await scrape(metrics)).toEqual([]);
    await expect.poll(async () => (await scrape(metrics)).length, { timeout: 10_000 }).toBe(3);
  });
});
