import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import type { DicomJson } from '../../src/imaging/dicom/dicom-json.js';
import { newDicomUid } from '../../src/kernel/uid.js';
import { testInstance, type TestInstance } from '../integration/images/instances.js';
import { preparedDirectory } from '../support/data-directory.js';
import { relatedBody, relatedParts, sha256, STOW_TYPE, textOf } from '../support/dicom-files.js';
import { eventually, startProduct, type Product } from '../support/product.js';
import { randomOf } from '../support/random.mjs';

/** 20 moments in every verification; KILLS=200 is the long one. SEED names the moments. */
const KILLS = Number(process.env.KILLS ?? 20);
const SEED = Number(process.env.SEED ?? 1);
const CLIENTS = 3;
/** An ingest is killed after at most this long. */
const LATEST_MS = 1_200;
/** Every so often the database dies with the product, as it does when the power goes. */
const WITH_DATABASE = 5;

interface Sent {
  instance: TestInstance;
  digest: string;
}

const dataDir = await preparedDirectory();
let product: Product | undefined;

afterAll(async () => {
  await product?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('an ingest that is killed', () => {
  const sent = new Map<string, Sent>();
  const acknowledged = new Set<string>();
  const start = (): Promise<Product> => startProduct({ dataDir, env: { SETTLE_SECONDS: '3600' } });

  it(`at ${String(KILLS)} random moments keeps all that it acknowledged, and shows nothing else that cannot be read`, { timeout: 120_000 + KILLS * 20_000 }, async () => {
    const random = randomOf(SEED);
    let victim = await start();
    product = victim;
    for (let round = 0; round < KILLS; round++) {
      const token = await victim.token();
      const studies = Array.from({ length: CLIENTS }, () => newDicomUid());
      const clients = studies.map((study) => storeUntilCut(victim.url, token, study, random, sent, acknowledged));
      await sleep(random() * LATEST_MS);
      if (round % WITH_DATABASE === WITH_DATABASE - 1) process.kill(postmasterOf(dataDir), 'SIGKILL');
      victim.process.kill('SIGKILL');
      await once(victim.process, 'exit');
      await Promise.all(clients);
      victim = await start();
      product = victim;
      await proveStudies(victim, studies, sent, acknowledged);
    }
    await victim.stop();
    console.log(`killed ${String(KILLS)} times: ${String(sent.size)} instances sent, ${String(acknowledged.size)} acknowledged`);
    // Or nothing was tried.
    expect(acknowledged.size).toBeGreaterThan(KILLS);
    expect(sent.size).toBeGreaterThan(acknowledged.size);
  });

  it('leaves no bytes behind once they are swept, and no draft', async () => {
    const survivor = await start();
    product = survivor;
    await proveStudies(survivor, new Set([...sent.values()].map(({ instance }) => instance.studyInstanceUid)), sent, acknowledged);
    const database = await connectTo(dataDir);
    try {
      const named = async (sql: string): Promise<Set<string>> => new Set((await database.query<{ blob_key: string }>(sql)).rows.map(({ blob_key }) => blob_key));
      const known = await named('SELECT blob_key FROM instances UNION SELECT blob_key FROM instance_versions UNION SELECT blob_key FROM blob_tombstones');
      expect(objects(dataDir).filter((key) => !known.has(key))).toEqual([]);
      // What waits for its sweep has its time now.
      await database.query('UPDATE blob_tombstones SET due_at = now()');
      await eventually('the sweep', async () => (await named('SELECT blob_key FROM blob_tombstones')).size === 0, 60_000);
      const rows = await named('SELECT blob_key FROM instances');
      expect(new Set(objects(dataDir))).toEqual(rows);
      const { rows: miscounted } = await database.query(`
        SELECT s.study_instance_uid FROM studies s LEFT JOIN instances i ON i.study_id = s.id
        GROUP BY s.id HAVING s.instance_count <> count(i.id) OR s.size_bytes <> coalesce(sum(i.size_bytes), 0)`);
      expect(miscounted).toEqual([]);
    } finally {
      await database.end();
    }
    expect(readdirSync(join(dataDir, 'blobs', 'drafts'))).toEqual([]);
    expect(existsSync(join(dataDir, 'uploads')) ? readdirSync(join(dataDir, 'uploads')) : []).toEqual([]);
  });
});

/** One client: request after request, bytes in fits and starts, until the connection is cut. */
async function storeUntilCut(url: string, token: string, studyInstanceUid: string, random: () => number, sent: Map<string, Sent>, acknowledged: Set<string>): Promise<void> {
  const seriesInstanceUid = newDicomUid();
  try {
    for (;;) {
      const instances = Array.from({ length: 1 + Math.floor(random() * 5) }, () => testInstance({ studyInstanceUid, seriesInstanceUid, size: 16 + Math.floor(random() * 600), fill: Math.floor(random() * 256) }));
      for (const instance of instances) sent.set(instance.sopInstanceUid, { instance, digest: sha256(instance.bytes) });
      const json = await storeSlowly(url, token, relatedBody(instances), random);
      for (const item of json['00081199']?.Value ?? []) acknowledged.add(textOf(item as DicomJson, '00081155')); // items of a sequence
    }
  } catch (error) {
    // What a client sees of a server that dies, and nothing else.
    if (!(error instanceof Error) || !/ECONNRESET|ECONNREFUSED|EPIPE|socket hang up|aborted|answered 50[03]/.test(`${error.message} ${'code' in error ? String(error.code) : ''}`)) throw error;
  }
}

function storeSlowly(url: string, token: string, body: Uint8Array, random: () => number): Promise<DicomJson> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/dicom-web/studies`, { method: 'POST', headers: { 'authorization': `Bearer ${token}`, 'content-type': STOW_TYPE, 'accept': 'application/dicom+json' } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => { chunks.push(chunk); });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(Buffer.concat(chunks).toString()) as DicomJson); // a Store Instances Response
        else reject(new Error(`answered ${String(response.statusCode)}: ${Buffer.concat(chunks).toString()}`));
      });
    });
    outgoing.on('error', reject);
    void (async () => {
      for (let at = 0; at < body.length && !outgoing.destroyed; ) {
        const next = at + 1 + Math.floor(random() * 200_000);
        outgoing.write(body.subarray(at, next));
        at = next;
        if (random() < 0.3) await sleep(random() * 10);
      }
      outgoing.end();
    })();
  });
}

/** Everything acknowledged of these studies is there; everything there is, byte by byte, what was sent. */
async function proveStudies(product: Product, studies: Iterable<string>, sent: ReadonlyMap<string, Sent>, acknowledged: ReadonlySet<string>): Promise<void> {
  for (const study of studies) {
    const response = await product.fetch(`/dicom-web/studies/${study}/instances?limit=10000`, { headers: { accept: 'application/dicom+json' } });
    const text = response.status === 204 || response.status === 404 ? '[]' : await response.text();
    if (!response.ok && response.status !== 404) throw new Error(`${String(response.status)} ${text}`);
    const visible = new Set((JSON.parse(text) as DicomJson[]).map((item) => textOf(item, '00080018'))); // a QIDO answer
    for (const uid of acknowledged) if (sent.get(uid)?.instance.studyInstanceUid === study && !visible.has(uid)) throw new Error(`acknowledged and lost: ${uid}`);
    for (const uid of visible) {
      const original = sent.get(uid);
      if (!original) throw new Error(`visible and never sent: ${uid}`);
      const { seriesInstanceUid } = original.instance;
      const retrieved = await product.fetch(`/dicom-web/studies/${study}/series/${seriesInstanceUid}/instances/${uid}`, { headers: { accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' } });
      if (retrieved.status !== 200) throw new Error(`visible and unreadable: ${uid}, ${String(retrieved.status)} ${await retrieved.text()}`);
      const [part] = await relatedParts(retrieved);
      if (!part || sha256(part.bytes) !== original.digest) throw new Error(`visible and other bytes than were sent: ${uid}`);
    }
  }
}

/** Keys of all stored objects. */
function objects(directory: string): string[] {
  const root = join(directory, 'blobs', 'objects');
  return readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

function clusterOf(directory: string): { port: number; password: string; location: string } {
  return JSON.parse(readFileSync(join(directory, 'postgres.json'), 'utf8')) as { port: number; password: string; location: string }; // as ClusterState
}

async function connectTo(directory: string): Promise<pg.Client> {
  const { port, password } = clusterOf(directory);
  const client = new pg.Client({ host: '127.0.0.1', port, password, user: 'healthvision', database: 'healthvision' });
  await client.connect();
  return client;
}

function postmasterOf(directory: string): number {
  return Number(execFileSync('head', ['-n', '1', join(clusterOf(directory).location, 'postmaster.pid')], { encoding: 'utf8' }));
}
