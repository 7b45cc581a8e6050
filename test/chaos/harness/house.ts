import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { isDatabaseAway } from '../../../src/platform/database/database-errors.js';
import { discardEmbeddedPostgres, openEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import { runningServer } from '../../../src/platform/database/embedded-server.js';
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
/** A process that does not listen after so many starts never will. */
const MOST_FIRST_STARTS = 5;
/** Longer than a process takes that is told to stop. */
const GRACE_MS = 40_000;
/** For a PostgreSQL that was just killed. */
const DATABASE_PATIENCE_MS = 60_000;

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

  /** Resolves when it listens for the first time. @throws Error with what it wrote, when it never does */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => { this.running = this.keepRunning(resolve, reject); });
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
    const timer = setTimeout(() => { this.kill('SIGKILL'); }, GRACE_MS);
    await this.running;
    clearTimeout(timer);
  }

  private isClosing(): boolean {
    return this.closing.signal.aborted;
  }

  private async keepRunning(started: () => void, failed: (error: Error) => void): Promise<void> {
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
        if (this.starts === 0 && this.outputs.length >= MOST_FIRST_STARTS) {
          failed(new Error(`${this.name} does not start:\n${this.output()}`));
          return;
        }
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
  postgres: { proxy: TcpProxy; kill(): Promise<void>; setReadOnly(isReadOnly: boolean): Promise<void> };
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

function mountSmallDisk(folder: string): boolean {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${String(DISK_BYTES)},mode=700`, 'tmpfs', folder]).status === 0;
  if (!mounted) console.warn('SKIPPED: a small file system cannot be mounted by this account; no disk runs full here');
  return mounted;
}

export async function openChaosHouse(kind: Kind): Promise<ChaosHouse> {
  /** What was made is undone in the opposite order, whether or not the rest of it succeeds. */
  const undo: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const one of undo.splice(0).reverse()) await Promise.resolve().then(one).catch((error: unknown) => { console.warn(error); });
  };
  try {
    return await build(kind, undo, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(kind: Kind, undo: (() => unknown)[], close: () => Promise<void>): Promise<ChaosHouse> {
  const [dataDir, databaseDir] = [temporaryDirectory(), temporaryDirectory()];
  undo.push(() => { for (const folder of [dataDir, databaseDir]) rmSync(folder, { recursive: true, force: true }); });
  const database = await openEmbeddedPostgres({ dataDir: databaseDir, log: () => undefined });
  undo.push(() => closeDatabase(database, databaseDir));
  const databaseProxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(database.url).port) });
  undo.push(() => { databaseProxy.close(); });
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
    undo.push(() => redis?.close());
    s3rver = await startS3rver();
    undo.push(() => s3rver?.stop());
    s3 = await startS3Proxy(s3rver.endpoint);
    undo.push(() => s3?.stop());
    Object.assign(env, { ...redis.settings, BLOB_STORE: 's3', S3_ENDPOINT: s3.endpoint, S3_BUCKET: BUCKET, S3_ACCESS_KEY_ID: 'S3RVER', S3_SECRET_ACCESS_KEY: 'S3RVER' });
  } else {
    const folder = join(dataDir, 'blobs');
    if (mountSmallDisk(folder)) {
      disk = folder;
      const unmount = (): void => { spawnSync('umount', ['-l', folder]); };
      // Whoever interrupts it leaves no file system behind.
      process.once('exit', unmount);
      undo.push(() => {
        process.off('exit', unmount);
        unmount();
      });
    }
    env.STORAGE_RESERVE_BYTES = String(8 * 2 ** 20);
  }
  const slot = (role: 'api' | 'worker', number: number): Slot => new Slot(`${role}-${String(number)}`, dataDir, { ...env, APP_ROLE: role });
  const [apis, workers] = [[1, 2].map((number) => slot('api', number)), [1, 2].map((number) => slot('worker', number))];
  undo.push(() => Promise.all([...apis, ...workers].map((one) => one.close())));
  // The first one sets the database up.
  for (const one of [...apis, ...workers]) await one.start();
  const owner = new pg.Pool({ connectionString: database.url, max: 2, options: '-c default_transaction_read_only=off' });
  owner.on('error', () => undefined);
  undo.push(() => owner.end());
  /** PostgreSQL may have been killed a moment ago. */
  const sql: ChaosHouse['sql'] = async <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => {
    for (const until = Date.now() + DATABASE_PATIENCE_MS; ;) {
      try {
        return (await owner.query<T>(text, values)).rows;
      } catch (error) {
        if (Date.now() > until || (error instanceof pg.DatabaseError && !isDatabaseAway(error))) throw error;
        await wait(AGAIN_MS);
      }
    }
  };
  return {
    kind, dataDir, apis, workers, ...(redis && { redis }), ...(s3 && { s3 }), ...(disk !== undefined && { disk }),
    postgres: {
      proxy: databaseProxy,
      kill: async () => {
        const server = await runningServer(locationOf(databaseDir));
        if (server) process.kill(server.pid, 'SIGKILL');
      },
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
    close,
  };
}

async function closeDatabase(database: EmbeddedPostgres, directory: string): Promise<void> {
  await database.close();
  await discardEmbeddedPostgres(directory);
}

function locationOf(directory: string): string {
  return (JSON.parse(readFileSync(join(directory, 'postgres.json'), 'utf8')) as { location: string }).location; // as ClusterState
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
