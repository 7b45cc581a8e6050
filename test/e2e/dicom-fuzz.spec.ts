import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DicomJson } from '../../src/imaging/dicom/dicom-json.js';
import { parseInstanceBytes } from '../../src/imaging/dicom/header.js';
import { compressedSeeds, headerSeeds, mutate, mutateElement, mutateInPlace } from '../fuzz/mutations.js';
import { ctFile, dcmtkIsInstalled, exchanged, relatedBody, STOW_TYPE, textOf } from '../support/dicom-files.js';
import type { Element } from '../support/dicom-builder.js';
import { ROOT, startProduct, type Product } from '../support/product.js';
import { randomOf } from '../support/random.mjs';
import { DATA, sharedFile } from '../support/shared-data.js';

/** `npm run fuzz:dicom` asks for more. */
const FILES = Number(process.env.FUZZ_FILES ?? 2_000);
const SEED = Number(process.env.FUZZ_SEED ?? 1);
/** In one request. */
const BATCH = 10;
/** No request may take longer, whatever is in it. */
const LIMIT_MS = 10_000;
/** A damaged header may claim a large image; what it takes to find out goes away again. */
const LIMIT_BYTES = 1.5e9;
/** Between the second tenth of the files, when every codec was loaded, and the last. */
const LIMIT_GROWTH_BYTES = 150e6;
/** Larger files cost time and hide nothing else. */
const MAX_SEED_BYTES = 64 * 1024;
/** Room for a number of its own in every copy. */
const LONG_UIDS: readonly Element[] = [[0x00080018, 'UI', '1.2.826.0.1.3680043.9.1000000001'], [0x0020000d, 'UI', '1.2.826.0.1.3680043.9.2'], [0x0020000e, 'UI', '1.2.826.0.1.3680043.9.2.1']];
const KEPT = join(ROOT, 'test-results', 'fuzz');

/** Retrieve URLs of what was stored, and how many were refused. */
interface Outcome {
  stored: string[];
  refused: number;
}

interface Seed {
  bytes: Uint8Array;
  /** Empty when the file cannot be read as it is. */
  sopInstanceUid: string;
}

let product: Product;
const edgeCases = sharedFile(DATA, 'dicom-edge-cases');
const dcmtk = dcmtkIsInstalled();

beforeAll(async () => { product = await startProduct({ env: { APP_ROLE: 'api', SETTLE_SECONDS: '3600', LOG_LEVEL: 'error' } }); });
afterAll(async () => { expect(await product.stop()).toBe(0); });

describe('files that are not as they should be', () => {
  it.skipIf(edgeCases === undefined)('from the wild are stored or refused with a reason, and what is stored can be asked for', async () => {
    for (const { name, bytes } of edgeCaseFiles(Infinity)) {
      const { stored, refused } = await store([bytes], name);
      expect(stored.length + refused, name).toBe(1);
      for (const url of stored) await read(url, name);
    }
  });

  it(`and ${String(FILES)} damaged ones crash nothing, hang nothing, and are answered below 500`, { timeout: 120_000 + FILES * 60 }, async () => {
    const seeds = [...headerSeeds(LONG_UIDS), ...compressedSeeds(), ...(dcmtk ? [ctFile({}, { side: 8 }).bytes] : []), ...edgeCaseFiles(MAX_SEED_BYTES).map(({ bytes }) => bytes)].map(seedOf);
    const next = randomOf(SEED);
    const counts = { stored: 0, refused: 0, read: 0 };
    const memory: number[] = [];
    for (let first = 0; first < FILES; first += BATCH) {
      const files = Array.from({ length: Math.min(BATCH, FILES - first) }, (_, i) => {
        const seed = seeds[(first + i) % seeds.length] ?? seedOf(new Uint8Array(0));
        // Under a UID of its own most of the time, or nearly all would be conflicts of one instance.
        const own = next() < 0.9 ? renamed(seed, `1.2.826.0.1.3680043.${String(first + i)}`) : seed.bytes;
        const way = next();
        return way < 0.3 ? mutate(own, next) : way < 0.5 ? mutateElement(own, next) : mutateInPlace(own, next);
      });
      const name = `seed ${String(SEED)}, files ${String(first)} and on`;
      const { stored, refused } = first / BATCH % 4 === 3 ? await upload(files, name) : await store(files, name);
      expect(stored.length + refused, name).toBeGreaterThan(0);
      counts.stored += stored.length;
      counts.refused += refused;
      for (const url of stored) counts.read += await read(url, name);
      memory.push(residentBytes(product));
    }
    const tenth = Math.ceil(memory.length / 10);
    const [early, late, peak] = [median(memory.slice(tenth, 2 * tenth)), median(memory.slice(-tenth)), Math.max(...memory)];
    console.log(`${String(FILES)} files of seed ${String(SEED)}:`, { ...counts, earlyMb: Math.round(early / 1e6), lateMb: Math.round(late / 1e6), peakMb: Math.round(peak / 1e6) });
    expect(counts.stored).toBeGreaterThan(FILES / 20);
    expect(counts.refused).toBeGreaterThan(FILES / 20);
    expect(peak).toBeLessThan(LIMIT_BYTES);
    expect(late - early).toBeLessThan(LIMIT_GROWTH_BYTES);
    expect(product.process.exitCode).toBeNull();
    expect((await product.fetch('/ready')).status).toBe(200);
    expect(product.output()).not.toMatch(/uncaught|unhandled|"status":5\d\d/i);
  });
});

/** By STOW-RS. */
async function store(files: readonly Uint8Array[], name: string): Promise<Outcome> {
  const { status, text } = await ask('/dicom-web/studies', name, files, { method: 'POST', headers: { 'content-type': STOW_TYPE, 'accept': 'application/dicom+json' }, body: new Uint8Array(relatedBody(files)) });
  expect([200, 202, 409], `${name}: ${text}`).toContain(status);
  const json = JSON.parse(text) as DicomJson; // a Store Instances Response
  const items = (tag: string): DicomJson[] => (json[tag]?.Value ?? []) as DicomJson[]; // sequences hold items
  for (const item of items('00081198')) expect(item['00081197']?.Value?.[0], name).toBeTypeOf('number');
  return { stored: items('00081199').map((item) => textOf(item, '00081190')), refused: items('00081198').length };
}

/** By the form. */
async function upload(files: readonly Uint8Array[], name: string): Promise<Outcome> {
  const form = new FormData();
  for (const [i, bytes] of files.entries()) form.append('files', new Blob([new Uint8Array(bytes)]), `${String(i)}.dcm`);
  const { status, text } = await ask('/api/v1/images', name, files, { method: 'POST', body: form });
  expect([201, 207, 422], `${name}: ${text}`).toContain(status);
  const { items } = JSON.parse(text) as { items: { status: string; code?: string; studyInstanceUid: string; seriesInstanceUid: string; sopInstanceUid: string }[] }; // API.md
  const refused = items.filter((item) => item.status === 'refused');
  for (const { code } of refused) expect(code, name).toBeTypeOf('string');
  return {
    stored: items.filter((item) => item.status !== 'refused').map((item) => `${product.url}/dicom-web/studies/${item.studyInstanceUid}/series/${item.seriesInstanceUid}/instances/${item.sopInstanceUid}`),
    refused: refused.length,
  };
}

/** Everything that may be asked of a stored instance. @returns how many answers came */
async function read(url: string, name: string): Promise<number> {
  const paths = ['', '/metadata', '/frames/1', '/rendered', '/thumbnail'];
  const series = url.slice(0, url.indexOf('/instances/'));
  for (const path of [...paths.map((tail) => `${url}${tail}`), `${series}/instances?includefield=all`]) await ask(path.replace(product.url, ''), name, [], {});
  return paths.length + 1;
}

/** One request within its time and below 500; else the files are kept and the test fails. */
async function ask(path: string, name: string, files: readonly Uint8Array[], init: RequestInit): Promise<{ status: number; text: string }> {
  try {
    const response = await product.fetch(path, { ...init, signal: AbortSignal.timeout(LIMIT_MS) });
    const text = await response.text();
    if (response.status < 500) return { status: response.status, text };
    throw new Error(`${path} answered ${String(response.status)}: ${text.slice(0, 500)}`);
  } catch (error) {
    mkdirSync(KEPT, { recursive: true });
    for (const [i, bytes] of files.entries()) writeFileSync(join(KEPT, `${name.replaceAll(/\W+/g, '-')}-${String(i)}.dcm`), bytes);
    throw new Error(`${name}: ${path} failed; its files are in ${KEPT}`, { cause: error });
  }
}

/** The same file with another SOP Instance UID of the same length, where the own one stands in the clear and is long enough. */
function renamed({ bytes, sopInstanceUid }: Seed, uid: string): Uint8Array {
  return sopInstanceUid.length < uid.length ? bytes : exchanged(bytes, sopInstanceUid, uid.padEnd(sopInstanceUid.length, '1'));
}

function seedOf(bytes: Uint8Array): Seed {
  try {
    return { bytes, sopInstanceUid: parseInstanceBytes(bytes).sopInstanceUid };
  } catch {
    return { bytes, sopInstanceUid: '' };
  }
}

function edgeCaseFiles(maxBytes: number): { name: string; bytes: Uint8Array }[] {
  if (edgeCases === undefined || !existsSync(edgeCases)) return [];
  return readdirSync(edgeCases).filter((name) => name.endsWith('.dcm')).sort()
    .map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(edgeCases, name))) })).filter(({ bytes }) => bytes.length <= maxBytes);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function residentBytes({ process: { pid } }: Product): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}
