import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { parseConfig, type Config } from '../../platform/config.js';
import { createLogger, type Logger } from '../../platform/ops/logger.js';
import { PACKAGE_ROOT } from '../../platform/version.js';

/** A throw-away installation: its settings, where its data and log lie, and how they go away. */
export interface DemoEnvironment {
  config: Config;
  password: string;
  dataDir: string;
  logFile: string;
  logger: Logger;
  /** Removes it all. To be called when the product has closed. */
  remove(): Promise<void>;
}

const PREFERRED_PORT = 8080;

/** @param port  undefined: 8080 where it is free, else any */
export async function createEnvironment(host: string, port: number | undefined): Promise<DemoEnvironment> {
  const dataDir = await mkdtemp(join(tmpdir(), 'healthvision-demo-'));
  // PostgreSQL does not run as root; the account it gets has to pass through.
  await chmod(dataDir, 0o711);
  const password = randomBytes(12).toString('base64url');
  const shipped = join(PACKAGE_ROOT, 'models');
  const given = parseConfig();
  const config = parseConfig({
    APP_ROLE: 'all', HOST: host, PORT: String(port ?? ((await isFree(PREFERRED_PORT, host)) ? PREFERRED_PORT : 0)), DATA_DIR: dataDir, SETTLE_SECONDS: '1', LOG_LEVEL: 'info',
    BOOTSTRAP_ADMIN_PASSWORD: password, MODELS_DIR: existsSync(given.modelsDir) ? given.modelsDir : shipped, EXECUTION_PROVIDERS: given.EXECUTION_PROVIDERS.join(','),
  });
  const logFile = join(dataDir, 'healthvision.log');
  const descriptor = openSync(logFile, 'a', 0o600);
  return {
    config, password, dataDir, logFile, logger: createLogger('info', { role: 'all' }, descriptor),
    remove: async () => {
      const elsewhere = await relocatedDatabase(dataDir);
      closeSync(descriptor);
      await rm(dataDir, { recursive: true, force: true });
      if (elsewhere !== undefined) await rm(elsewhere, { recursive: true, force: true });
    },
  };
}

/** Where the embedded database lies when its account could not enter the data directory. */
async function relocatedDatabase(dataDir: string): Promise<string | undefined> {
  const state = await readFile(join(dataDir, 'postgres.json'), 'utf8').then((text): unknown => JSON.parse(text), () => undefined);
  const parsed = z.object({ location: z.string().min(1) }).safeParse(state);
  if (!parsed.success || !relative(dataDir, parsed.data.location).startsWith('..')) return undefined;
  // It has a folder of its own, named after this data directory.
  const { location } = parsed.data;
  return basename(location) === 'postgres' ? dirname(location) : location;
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => { resolve(false); });
    probe.listen({ port, host, exclusive: true }, () => { probe.close(() => { resolve(true); }); });
  });
}
