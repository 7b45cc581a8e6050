import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wrapImage } from '../../src/imaging/dicom/wrap-image.js';
import { newDicomUid } from '../../src/kernel/uid.js';
import { bigZip, BIG_ZIP_SIDE, sendZip } from '../support/big-zip.mjs';
import { startProduct, type Product } from '../support/product.js';
import type { UploadItem } from '../support/flow.js';

/** Objects of 8 MB each; `npm run bench:upload` sends more than 2 GB. */
const COUNT = 64;
const LIMIT_BYTES = 400e6;

let api: Product;

beforeAll(async () => { api = await startProduct({ env: { APP_ROLE: 'api' } }); });
afterAll(async () => { await api.stop(); });

describe('a ZIP of half a gigabyte', () => {
  it('is stored while the api stays under 400 MB', async () => {
    const [studyInstanceUid, seriesInstanceUid] = [newDicomUid(), newDicomUid()];
    const zip = bigZip(COUNT, ({ pixels }) => wrapImage({ pixels, width: BIG_ZIP_SIDE, height: BIG_ZIP_SIDE, channels: 1, bits: 16 }, { patientId: 'BIG', modality: 'CR', studyInstanceUid, seriesInstanceUid, sopInstanceUid: newDicomUid() }));
    let peak = 0;
    const sampler = setInterval(() => { peak = Math.max(peak, residentBytes(api)); }, 50);
    const response = await sendZip(api.url, `Bearer ${await api.token()}`, zip);
    clearInterval(sampler);
    expect(response.status).toBe(201);
    const { items } = (await response.json()) as { items: UploadItem[] };
    expect(items.filter(({ status }) => status === 'stored')).toHaveLength(COUNT);
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThan(LIMIT_BYTES);
  });
});

function residentBytes({ process: { pid } }: Product): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}
