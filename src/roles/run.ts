import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { mkdir } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { DimseServer } from '../modules/images/dimse/dimse-server.js';
import { BootstrapService, type FirstAdministrator } from '../modules/users/bootstrap.service.js';
import { AppError } from '../kernel/errors.js';
import { BackupAgeModule } from '../platform/backup/backup-age.module.js';
import type { Config } from '../platform/config.js';
import type { DatabaseUrls } from '../platform/database/connection.js';
import { DatabaseModule } from '../platform/database/database.module.js';
import { openDatabase } from '../platform/database/open-database.js';
import { createHttpApp } from '../platform/http/http-app.js';
import type { Logger } from '../platform/ops/logger.js';
import { OpsModule } from '../platform/ops/ops.module.js';
import { serveMetrics } from '../platform/ops/metrics-server.js';
import { Shutdown } from '../platform/ops/shutdown.js';
import type { TraceExport } from '../platform/ops/trace-export.js';
import { KeyVault } from '../platform/crypto/key-vault.js';
import { VaultModule } from '../platform/crypto/vault.module.js';
import { assertRedisKeepsJobs } from '../platform/queue/eviction.js';
import { assertQueueReachable } from '../platform/queue/reach.js';
import { StorageModule } from '../platform/storage/storage.module.js';
import { serveDocs } from '../web/docs.js';

export interface RunningRole {
  /** Where it listens, for a caller on this machine. */
  url: string;
  /** undefined when DIMSE is off. */
  dimsePort: number | undefined;
  app: INestApplicationContext;
  /** null in a worker. */
  firstAdministrator: FirstAdministrator | null;
  /** Stops taking work, finishes or hands back what runs, closes. Safe to call twice. */
  close(): Promise<void>;
}

export interface RunOptions {
  logger: Logger;
  /** Called as each part is up. */
  report?: (step: string) => void;
}

/** Starts the role of the configuration and listens. */
export async function runRole(config: Config, { logger, report = () => undefined }: RunOptions): Promise<RunningRole> {
  await prepareDataDir(config);
  await assertQueueReachable(config);
  await assertRedisKeepsJobs(config, logger);
  const database = await openDatabase(config, logger, report);
  let app: NestFastifyApplication | undefined;
  let traces: TraceExport | undefined;
  try {
    traces = await tracing(config, logger);
    app = await createHttpApp(await composition(config, logger, database), config, logger);
    const servesApi = config.APP_ROLE !== 'worker';
    if (servesApi) serveDocs(app, config);
    await app.get(KeyVault).assertMasterKey();
    if (servesApi) await app.get(BootstrapService).assertPassword();
    await app.init();
    await listening('PORT', config.PORT, config.HOST, app.listen(config.PORT, config.HOST));
    const metrics = config.METRICS_PORT === undefined ? undefined : await listening('METRICS_PORT', config.METRICS_PORT, config.HOST, serveMetrics(app, config.METRICS_PORT, config.HOST));
    const dimsePort = servesApi ? await listening('DIMSE_PORT', config.DIMSE_PORT ?? 0, config.HOST, app.get(DimseServer).listen()) : undefined;
    // Once it listens: a password that is shown once is not shown by a start that fails.
    const firstAdministrator = servesApi ? await app.get(BootstrapService).ensureFirstAdministrator() : null;
    const url = urlOf(app, config);
    const running = app;
    const exporting = traces;
    report('ready');
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      running.get(Shutdown).begin();
      // Time for load balancers that ask /ready to find out; none stands before a worker.
      if (servesApi && config.SHUTDOWN_DELAY_SECONDS > 0) await wait(config.SHUTDOWN_DELAY_SECONDS * 1000);
      await running.close();
      await metrics?.close();
      await database.close();
      // Last, so that the spans of the end go out, too.
      await exporting?.close();
    };
    return { url, dimsePort, app: running, firstAdministrator, close: () => (closing ??= close()) };
  } catch (error) {
    await app?.close().catch(() => undefined);
    await database.close();
    await traces?.close();
    throw error;
  }
}

/** Loaded here, so that a process that exports no traces never even reads the files of OpenTelemetry's SDK. */
async function tracing({ traces, APP_ROLE }: Config, logger: Logger): Promise<TraceExport | undefined> {
  return traces && (await import('../platform/ops/trace-export.js')).startTracing(traces, APP_ROLE, logger);
}

/** @throws AppError `configuration-invalid` when the folder cannot be made */
async function prepareDataDir({ dataDir }: Config): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true });
  } catch (error) {
    throw new AppError('configuration-invalid', { detail: `DATA_DIR: ${dataDir} cannot be made: ${errorCode(error)}`, cause: error });
  }
}

/** @throws AppError `configuration-invalid` when the address is taken, absent or not permitted */
async function listening<T>(variable: string, port: number, host: string, server: Promise<T>): Promise<T> {
  try {
    return await server;
  } catch (error) {
    const reasons: Record<string, string> = { EADDRINUSE: 'is in use', EADDRNOTAVAIL: 'is not an address of this machine', EACCES: 'may not be used by this account' };
    const reason = reasons[errorCode(error)];
    throw reason === undefined ? error : new AppError('configuration-invalid', { detail: `${variable}, HOST: ${host}:${String(port)} ${reason}`, cause: error });
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

async function composition(config: Config, logger: Logger, urls: DatabaseUrls): Promise<DynamicModule> {
  // Loaded here, so that a process of role `api` never even reads the files of the others.
  const role = config.APP_ROLE === 'api' ? (await import('./api.js')).apiRole()
    : config.APP_ROLE === 'worker' ? (await import('./worker.js')).workerRole(config)
    : (await import('./all.js')).allRole(config);
  class Product {}
  return { module: Product, imports: [OpsModule.forRoot(config, logger), DatabaseModule.forUrls(urls), VaultModule, StorageModule, BackupAgeModule, role] };
}

function urlOf(app: NestFastifyApplication, config: Config): string {
  const address = app.getHttpServer().address();
  const port = typeof address === 'object' && address !== null ? address.port : config.PORT;
  const host = ['0.0.0.0', '::'].includes(config.HOST) ? '127.0.0.1' : config.HOST;
  return `${config.TLS_CERT_FILE === undefined ? 'http' : 'https'}://${host}:${String(port)}`;
}
