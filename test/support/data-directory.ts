import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '../../src/platform/config.js';
import { withProcessLock } from '../../src/platform/database/embedded-lock.js';
import { freePort } from '../../src/platform/database/embedded-server.js';
import { openDatabase } from '../../src/platform/database/open-database.js';
import { createLogger } from '../../src/platform/ops/logger.js';
import { temporaryDirectory } from './temporary-directory.js';

let template: Promise<string> | undefined;

/**
 * A data directory as a first start leaves it: a cluster of its own, migrated, with its logins, and nobody in it. To make one takes seconds, to copy one a fraction of
 * a second; what a start does to an empty folder is tested where `temporaryDirectory` is asked for.
 */
export async function preparedDirectory(): Promise<string> {
  const directory = temporaryDirectory();
  const folder = process.env.HEALTHVISION_TEST_TEMPLATE;
  // Set by global-setup.mjs.
  if (folder === undefined) return directory;
  template ??= templateIn(folder);
  // With its owners: PostgreSQL runs under an account of its own where the tests run as root.
  execFileSync('cp', ['--archive', '--reflink=auto', `${await template}/.`, directory]);
  const state = join(directory, 'postgres.json');
  // Two copies that start at the same moment must not want the same port.
  const moved = { ...(JSON.parse(readFileSync(state, 'utf8')) as object), location: join(directory, 'postgres'), port: await freePort() };
  writeFileSync(state, JSON.stringify(moved));
  return directory;
}

/** Made by whichever process of the tests wants it first. */
function templateIn(folder: string): Promise<string> {
  const made = join(folder, 'made');
  return withProcessLock(join(folder, 'lock'), async () => {
    if (existsSync(made)) return made;
    const draft = join(folder, 'draft');
    mkdirSync(draft, { mode: 0o711 });
    const database = await openDatabase(parseConfig({ DATA_DIR: draft }), createLogger('silent'));
    await database.close();
    renameSync(draft, made);
    return made;
  });
}
