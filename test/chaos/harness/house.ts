import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { discardEmbeddedPostgres, openEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import { createS3Client } from '../../../src/platform/storage/s3-client.js';
import { modelsDirectory } from '../../integration/analysis/model-packs.js';
import { startProduct, temporaryDirectory, type Product } from '../../support/product.js';
import { settingsFor, startS3Proxy, startS3rver, type S3Proxy, type S3Server } from '../../support/s3.js';
import { startRedisPair, type RedisPair } from './redis-pair.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

/** What an installation consists of: the queue in PostgreSQL and blobs on a disk of its own that may run full, or Redis and S3. */
export type Kind = 'postgres' | 'redis';

const CLOCK = fileURLToPath(new URL('clock.mjs', import.meta.url));
const BUCKET = 'images';
const DISK_BYTES = 256 * 2 ** 20;
const AGAIN_MS = 1_000;

/** A process of the product that is started again whenever it ends, as an orchestrator does. */
export class Slot {
  product: Product | undefined;
  starts = 0;
  private readonly clockFile: string;
  private readonly closing = new AbortController();
  private running: Promise<void> = Promise.resolve();
  /** What earlier ones wrote. */
  private readonly outputs: string[] = [];

  constructor(readonly name: string, private readonly dataDir: string, private readonly env: Readonly<Record<string, string>>) {
    this.clockFile = join(dataDir, `clock-${name}`);
    writeFileSync(this.clockFile, '0');
  }

  /** Resolves when it listens for the first time. */
  async start(): Promise<void> {
    await new Promise<void>((resolve) => { this.running = this.keepRunning(resolve); });
  }

  kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): void {
    this.product?.process.kill(signal);
  }

  /** Its clock is wrong by so much. */
  setClock(offsetMs: number): void {
    writeFileSync(this.clockFile, String(offsetMs));
  }

  output(): string {
    return [...this.outputs, this.product?.output() ?? ''].join('\n');
  }

  async close(): Promise<void> {
    this.closing.abort();
    this.kill('SIGTERM');
    await this.running;
  }

  private isClosing(): boolean {
    return this.closing.signal.aborted;
  }

  private async keepRunning(started: () => void): Promise<void> {
    while (!this.isClosing()) {
      try {
        const product = await startProduct({ dataDir: this.dataDir, env: { ...this.env, NODE_OPTIONS: `--import ${CLOCK}`, CLOCK_FILE: this.clockFile } });
        this.product = product;
        this.starts++;
        started();
        if (this.isClosing()) product.process.kill('SIGTERM');
        if (product.process.exitCode === null && product.process.signalCode === null) await once(product.process, 'exit');
        this.outputs.push(product.output());
      } catch (error) {
        // What it needs is away: it ended before it listened.
        this.outputs.push(error instanceof Error ? error.message : String(error));
      }
      this.product = undefined;
      if (!this.isClosing()) await wait(AGAIN_MS);
    }
  }
}

/** A whole installation, each part of which can be broken. */
export interface ChaosHouse {
  kind: Kind;
  dataDir: string;
  apis: readonly Slot[];
  workers: readonly Slot[];
  postgres: { proxy: TcpProxy; kill(): void; setReadOnly(isReadOnly: boolean): Promise<void> };
  redis?: RedisPair;
  s3?: S3Proxy;
  /** The mount of the blobs, where this account may make one. */
  disk?: string;
  /** Where its parts are, for whoever looks at them by hand. */
  addresses: Readonly<Record<string, string>>;
  /** As the superuser, past the proxy. */
  sql<T extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
  /** Any process of the api that listens; undefined while there is none. */
  api(): Product | undefined;
  /** Keys of all blobs that lie there. */
  blobs(): Promise<string[]>;
  close(): Promise<void>;
}

export function mayMount(folder: string): boolean {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${String(DISK_BYTES)},mode=700`, 'tmpfs', folder]).status === 0;
  if (!mounted) console.warn('SKIPPED: a small file system cannot be mounted by this account; no disk runs full here');
  return mounted;
}

export async function openChaosHouse(kind: Kind): Promise<ChaosHouse> {
  const dataDir = temporaryDirectory();
  const databaseDir = temporaryDirectory();
  const database = await openEmbeddedPostgres({ dataDir: databaseDir, log: () => undefined });
  const databaseProxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(database.url).port) });
  const databaseUrl = new URL(database.url);
  databaseUrl.port = String(databaseProxy.port);
  const env: Record<string, string> = {
    DATABASE_URL: databaseUrl.href, MODELS_DIR: modelsDirectory(['bright']), ALLOWED_PRIVATE_HOSTS: '127.0.0.1', PUBLIC_URL: 'https://vision.hospital.test/', SETTLE_SECONDS: '1',
    RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0', QUEUE_BACKEND: kind, INFERENCE_THREADS: '1', LOG_LEVEL: 'warn', REQUEST_TIMEOUT_SECONDS: '20',
  };
  let redis: RedisPair | undefined;
  let s3rver: S3Server | undefined;
  let s3: S3Proxy | undefined;
  let disk: string | undefined;
  if (kind === 'redis') {
    redis = await startRedisPair(AGAIN_MS);
    s3rver = await startS3rver();
    s3 = await startS3Proxy(s3rver.endpoint);
    Object.assign(env, { ...redis.settings, BLOB_STORE: 's3', S3_ENDPOINT: s3.endpoint, S3_BUCKET: BUCKET, S3_ACCESS_KEY_ID: 'S3RVER', S3_SECRET_ACCESS_KEY: 'S3RVER' });
  } else {
    const folder = join(dataDir, 'blobs');
    if (mayMount(folder)) disk = folder;
    env.STORAGE_RESERVE_BYTES = String(8 * 2 ** 20);
  }
  const slot = (role: 'api' | 'worker', number: number): Slot => new Slot(`${role}-${String(number)}`, dataDir, { ...env, APP_ROLE: role });
  const [apis, workers] = [[1, 2].map((number) => slot('api', number)), [1, 2].map((number) => slot('worker', number))];
  // The first one sets the database up.
  for (const one of [...apis, ...workers]) await one.start();
  const owner = new pg.Pool({ connectionString: database.url, max: 2, options: '-c default_transaction_read_only=off' });
  owner.on('error', () => undefined);
  const sql: ChaosHouse['sql'] = async <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => (await owner.query<T>(text, values)).rows;
  return {
    kind, dataDir, apis, workers, ...(redis && { redis }), ...(s3 && { s3 }), ...(disk !== undefined && { disk }),
    postgres: {
      proxy: databaseProxy,
      kill: () => { process.kill(postmasterOf(databaseDir), 'SIGKILL'); },
      setReadOnly: async (isReadOnly) => {
        await sql(`ALTER DATABASE healthvision SET default_transaction_read_only = ${isReadOnly ? 'on' : 'off'}`);
        databaseProxy.sever();
      },
    },
    sql, addresses: { database: database.url, dataDir, ...redis?.settings },
    api: () => {
      const there = apis.flatMap(({ product }) => product ?? []);
      return there[Math.floor(Math.random() * there.length)];
    },
    blobs: async () => (s3rver ? keysIn(s3rver.endpoint) : filesBelow(join(dataDir, 'blobs', 'objects'))),
    close: async () => {
      await Promise.all([...apis, ...workers].map((one) => one.close()));
      await owner.end();
      await s3?.stop();
      await s3rver?.stop();
      await redis?.close();
      databaseProxy.close();
      await closeDatabase(database, databaseDir);
      if (disk !== undefined) execFileSync('umount', [disk]);
      rmSync(dataDir, { recursive: true, force: true });
      rmSync(databaseDir, { recursive: true, force: true });
    },
  };
}

async function closeDatabase(database: EmbeddedPostgres, directory: string): Promise<void> {
  await database.close();
  await discardEmbeddedPostgres(directory);
}

function postmasterOf(directory: string): number {
  const { location } = JSON.parse(readFileSync(join(directory, 'postgres.json'), 'utf8')) as { location: string }; // as ClusterState
  return Number(readFileSync(join(location, 'postmaster.pid'), 'utf8').split('\n')[0]);
}

async function keysIn(endpoint: string): Promise<string[]> {
  const client = createS3Client(settingsFor(endpoint));
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: BUCKET })) keys.push(...Contents.flatMap(({ Key }) => Key ?? []));
  client.destroy();
  return keys;
}

function filesBelow(folder: string): string[] {
  return execFileSync('find', ['.', '-type', 'f', '-printf', '%P\\n'], { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 28 }).split('\n').filter((line) => line !== '');
}
