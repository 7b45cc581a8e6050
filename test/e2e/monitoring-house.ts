import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { parseConfig } from '../../src/platform/config.js';
import { openDatabase } from '../../src/platform/database/open-database.js';
import { createLogger } from '../../src/platform/ops/logger.js';
import { modelsDirectory, PACKS, writeManifest } from '../integration/analysis/model-packs.js';
import { openReceiver, type Receiver } from '../integration/notifications/webhook-receiver.js';
import { Authority, opensslIsInstalled } from '../support/certificates.js';
import { controlGroup, type ControlGroup } from '../support/control-group.js';
import { preparedDirectory } from '../support/data-directory.js';
import { ruleFiles } from '../support/monitoring-files.js';
import { startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { startPrometheus, type PrometheusServer, type Target } from '../support/prometheus.js';
import { freePort } from '../support/redis.js';

const DISK_BYTES = 256 * 2 ** 20;
export const CPU_TAKEN = 'rate(process_cpu_seconds_total[15s])';
export const RESERVE_BYTES = 24 * 2 ** 20;

/** An API, a worker that lacks the GPU it is to have, and a Prometheus that watches them. */
export interface MonitoringHouse {
  api: Product;
  worker: Product;
  dimsePort: number;
  prometheus: PrometheusServer;
  /** Somebody's endpoint: `/gone` wants to hear nothing more, anything else answers 500. */
  receiver: Receiver;
  /** The mount of the blobs; undefined where this account may make none. */
  disk: string | undefined;
  /** For processes that are to have less than they need; undefined where this account may make none. */
  groups: Record<'api' | 'worker', ControlGroup> | undefined;
  /** As the superuser, past all the product's own rules. */
  sql: <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<T[]>;
  /** Past triggers too, in one transaction. */
  tamper: (...statements: [text: string, values: unknown[]][]) => Promise<void>;
  /** One more API, with a certificate that is good for two days where there is openssl. */
  openSecondApi(): Promise<void>;
  stop(role: 'api' | 'worker'): Promise<void>;
  close(): Promise<void>;
}

export async function openMonitoringHouse(): Promise<MonitoringHouse> {
  const dataDir = await preparedDirectory();
  const disk = mountSmallDisk(join(dataDir, 'blobs'));
  const groups = makeGroups();
  const dimsePort = await freePort();
  const env = {
    MODELS_DIR: models(), SETTLE_SECONDS: '3600', ALLOWED_PRIVATE_HOSTS: '127.0.0.1', SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'test@hospital.test', LOG_LEVEL: 'fatal',
    ...(disk !== undefined && { STORAGE_RESERVE_BYTES: String(RESERVE_BYTES) }),
  };
  const api = await startProduct({ dataDir, env: { ...env, APP_ROLE: 'api', DIMSE_PORT: String(dimsePort) } });
  const worker = await startProduct({ dataDir, env: { ...env, APP_ROLE: 'worker', EXECUTION_PROVIDERS: 'cuda,cpu', PATH: `${madeUpGpu()}:${process.env.PATH ?? ''}` } });
  const database = await openDatabase(parseConfig({ DATA_DIR: dataDir }), createLogger('silent'));
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const receiver = await openReceiver();
  receiver.behave((message, response) => {
    message.status = message.path === '/gone' ? 410 : 500;
    response.writeHead(message.status).end();
  });
  const targets: Target[] = [{ job: 'healthvision-api', address: new URL(api.url).host }, { job: 'healthvision-worker', address: new URL(worker.url).host }];
  const prometheus = await startPrometheus(new Map(ruleFiles().map(({ name, path }) => [name, withoutWaits(readFileSync(path, 'utf8'))])));
  prometheus.watch(targets);
  const running = { api: [api], worker: [worker] };
  const stop = async (role: 'api' | 'worker'): Promise<void> => { for (const product of running[role].splice(0)) await product.stop(); };
  return {
    api, worker, dimsePort, prometheus, receiver, disk, groups, stop,
    sql: async <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => (await client.query<T>(text, values)).rows,
    tamper: async (...statements) => {
      await client.query('BEGIN');
      await client.query(`SET LOCAL session_replication_role = 'replica'`);
      for (const [text, values] of statements) await client.query(text, values);
      await client.query('COMMIT');
    },
    openSecondApi: async () => {
      const metricsPort = await freePort();
      const certificate = opensslIsInstalled() ? new Authority().sign('localhost') : undefined;
      const second = await startProduct({ dataDir, env: { ...env, APP_ROLE: 'api', METRICS_PORT: String(metricsPort), ...(certificate && { TLS_CERT_FILE: certificate.cert, TLS_KEY_FILE: certificate.key }) } });
      running.api.push(second);
      targets.push({ job: 'healthvision-api', address: `127.0.0.1:${String(metricsPort)}` });
      prometheus.watch(targets);
    },
    close: async () => {
      await prometheus.stop();
      receiver.close();
      await client.end();
      for (const role of ['worker', 'api'] as const) await stop(role);
      await database.close();
      for (const group of Object.values(groups ?? {})) group.close();
      if (disk !== undefined) spawnSync('umount', ['-l', disk]);
    },
  };
}

function makeGroups(): MonitoringHouse['groups'] {
  const name = (role: string): string => `healthvision-test-${String(process.pid)}-${role}`;
  const api = controlGroup(name('api'));
  const worker = api && controlGroup(name('worker'));
  return worker && { api, worker };
}

function mountSmallDisk(folder: string): string | undefined {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${String(DISK_BYTES)},mode=700`, 'tmpfs', folder]).status === 0) return folder;
  console.warn('SKIPPED: a small file system cannot be mounted by this account; no disk runs full here');
  return undefined;
}

/** One model, which says what memory it takes. */
function models(): string {
  const folder = modelsDirectory(['bright']);
  writeManifest(folder, 'bright', { ...(JSON.parse(readFileSync(join(PACKS, 'bright', 'manifest.json'), 'utf8')) as object), resources: { peakMemoryMb: 64 } });
  return folder;
}

/** A folder with an `nvidia-smi` that tells of a GPU that is nearly full. */
function madeUpGpu(): string {
  const folder = temporaryDirectory();
  const file = join(folder, 'nvidia-smi');
  writeFileSync(file, '#!/bin/sh\necho "0, 77000, 81920, 83"\n');
  chmodSync(file, 0o755);
  return folder;
}

/** An alert fires as soon as it is true, and what the processor does is looked at for seconds in the place of minutes. */
function withoutWaits(rules: string): string {
  return rules.replaceAll(/^ +for: .*\n/gm, '').replace('rate(process_cpu_seconds_total[5m])', CPU_TAKEN);
}
