import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { mkdir } from 'node:fs/promises';
import { BootstrapService, type FirstAdministrator } from '../modules/users/bootstrap.service.js';
import type { Config } from '../platform/config.js';
import { DatabaseModule } from '../platform/database/database.module.js';
import { openDatabase } from '../platform/database/open-database.js';
import { createHttpApp } from '../platform/http/http-app.js';
import type { Logger } from '../platform/ops/logger.js';
import { OpsModule } from '../platform/ops/ops.module.js';
import { serveMetrics } from '../platform/ops/metrics-server.js';
import { StorageModule } from '../platform/storage/storage.module.js';
import { serveDocs } from '../web/docs.js';

export interface RunningRole {
  /** Where it listens, for a caller on this machine. */
  url: string;
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
  await mkdir(config.dataDir, { recursive: true });
  const database = await openDatabase(config, logger, report);
  try {
    const app = await createHttpApp(await composition(config, logger, database.url), config, logger);
    const servesApi = config.APP_ROLE !== 'worker';
    const firstAdministrator = servesApi ? await app.get(BootstrapService).ensureFirstAdministrator() : null;
    if (servesApi) serveDocs(app, config);
    await app.init();
    await app.listen(config.PORT, config.HOST);
    const metrics = config.METRICS_PORT === undefined ? undefined : await serveMetrics(app, config.METRICS_PORT, config.HOST);
    const url = urlOf(app, config);
    report('ready');
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      await app.close();
      await metrics?.close();
      await database.close();
    };
    return { url, app, firstAdministrator, close: () => (closing ??= close()) };
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function composition(config: Config, logger: Logger, databaseUrl: string): Promise<DynamicModule> {
  // Loaded here, so that a process of role `api` never even reads the files of the others.
  const role = config.APP_ROLE === 'api' ? (await import('./api.js')).apiRole()
    : config.APP_ROLE === 'worker' ? (await import('./worker.js')).workerRole(config)
    : (await import('./all.js')).allRole(config);
  class Product {}
  return { module: Product, imports: [OpsModule.forRoot(config, logger), DatabaseModule.forUrl(databaseUrl), StorageModule, role] };
}

function urlOf(app: NestFastifyApplication, config: Config): string {
  const address = app.getHttpServer().address();
  const port = typeof address === 'object' && address !== null ? address.port : config.PORT;
  const host = ['0.0.0.0', '::'].includes(config.HOST) ? '127.0.0.1' : config.HOST;
  return `http://${host}:${String(port)}`;
}
