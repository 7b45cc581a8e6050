import { createHash, randomBytes } from 'node:crypto';
import { realpath, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../kernel/errors.js';
import { SYSTEM_DIRECTORY, canEnter, makePassage, ownerOf, unprivilegedAccount } from './embedded-account.js';
import type { Account, EmbeddedLog } from './embedded-account.js';
import { clusterVersion } from './embedded-cluster.js';
import { errorCode } from './embedded-presence.js';
import type { ClusterState } from './embedded-state.js';

export interface ClusterPlace {
  location: string;
  account: Account | undefined;
  /** Major version of the cluster that lies there; null when it has yet to be created. */
  version: string | null;
}

/** Where root puts the cluster of a DATA_DIR that PostgreSQL's account cannot enter. */
export function relocatedFolder(dataDir: string): string {
  return join(SYSTEM_DIRECTORY, createHash('sha256').update(dataDir).digest('hex').slice(0, 12));
}

/**
 * Finds the cluster of a DATA_DIR, or a place for a new one.
 *
 * @param dataDir  absolute, without symbolic links
 * @throws AppError `configuration-invalid` when the cluster is gone or PostgreSQL's account cannot reach it
 */
export async function locateCluster(dataDir: string, state: ClusterState | null, log: EmbeddedLog): Promise<ClusterPlace> {
  const location = state?.location ?? join(dataDir, 'postgres');
  const version = await clusterVersion(location);
  if (version !== null) {
    const account = await ownerOf(join(location, 'PG_VERSION'));
    if (!(await canEnter(account, location))) {
      throw new AppError('configuration-invalid', {
        detail: `${account?.name ?? 'This account'} runs PostgreSQL but cannot enter ${location}: allow it to pass the folders above (chmod o+x), or set DATABASE_URL.`,
      });
    }
    return { location, account, version };
  }
  if (state?.ready === true) {
    throw new AppError('configuration-invalid', {
      detail: `The database files that ${join(dataDir, 'postgres.json')} names are missing from ${location}: restore them, or remove postgres.json to begin with an empty database.`,
    });
  }
  return newPlace(dataDir, log);
}

async function newPlace(dataDir: string, log: EmbeddedLog): Promise<ClusterPlace> {
  const account = await unprivilegedAccount(dataDir, log);
  if (await canEnter(account, dataDir)) return { location: join(dataDir, 'postgres'), account, version: null };
  const folder = relocatedFolder(dataDir);
  try {
    await makePassage(SYSTEM_DIRECTORY);
    await makePassage(folder);
  } catch (error) {
    throw unreachable(account, dataDir, `${SYSTEM_DIRECTORY} cannot be written`, error);
  }
  if (!(await canEnter(account, folder))) throw unreachable(account, dataDir, `nor can it enter ${folder}`);
  const location = join(await realpath(folder), 'postgres');
  await setAside(location, log);
  log('info', `The embedded PostgreSQL keeps its files in ${location}, because the account "${account?.name ?? ''}" that it runs under cannot enter ${dataDir}.`);
  return { location, account, version: null };
}

/** A DATA_DIR that was removed and made again begins empty; what its predecessor had is kept under another name. */
async function setAside(location: string, log: EmbeddedLog): Promise<void> {
  if ((await clusterVersion(location)) === null) return;
  const aside = `${location}.orphaned-${randomBytes(3).toString('hex')}`;
  await rename(location, aside).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
  });
  log('warn', `Database files of an earlier data directory of the same name were moved to ${aside}; remove them when nobody needs them.`);
}

function unreachable(account: Account | undefined, dataDir: string, reason: string, cause?: unknown): AppError {
  return new AppError('configuration-invalid', {
    detail: `PostgreSQL runs under the account "${account?.name ?? ''}", which cannot enter ${dataDir}, and ${reason}: choose another DATA_DIR or set DATABASE_URL.`,
    cause,
  });
}
