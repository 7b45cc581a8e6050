import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { InflationBudget } from './archive-guard.js';
import { exhaust, sourceOf } from './byte-source.js';
import { gunzip } from './gunzip.js';

describe('gunzip', () => {
  const bytes = randomBytes(300_000);

  it('inflates what the budget allows', async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of gunzip(sourceOf(gzipSync(bytes)), new InflationBudget(bytes.length))) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  it('stops at the budget whatever the ratio, and several files share it', async () => {
    await expect(exhaust(gunzip(sourceOf(gzipSync(bytes)), new InflationBudget(bytes.length - 1)))).rejects.toMatchObject({ code: 'archive-bomb' });
    const budget = new InflationBudget(bytes.length * 2 - 1);
    await exhaust(gunzip(sourceOf(gzipSync(bytes)), budget));
    await expect(exhaust(gunzip(sourceOf(gzipSync(bytes)), budget))).rejects.toMatchObject({ code: 'archive-bomb' });
  });
});
