import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../kernel/errors.js';
import { isRoot } from './embedded-account.js';
import { errorCode } from './embedded-presence.js';

/** What the processes that share a cluster have to know; DATA_DIR/postgres.json. */
export interface ClusterState {
  /** Major version that made the cluster. */
  version: string;
  /** Where the cluster lies: DATA_DIR/postgres, or elsewhere when PostgreSQL's account cannot enter DATA_DIR. */
  location: string;
  port: number;
  password: string;
  /** True once the database exists. */
  ready: boolean;
}

/** @throws AppError `configuration-invalid` when the file is closed to us or damaged */
export async function readState(dataDir: string): Promise<ClusterState | null> {
  const file = stateFile(dataDir);
  try {
    return parseState(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    if (errorCode(error) === 'EACCES') {
      throw new AppError('configuration-invalid', { detail: `${file} belongs to another account: run HealthVision under that one.`, cause: error });
    }
    throw new AppError('configuration-invalid', {
      detail: `${file} is damaged: restore it, or remove it to have a new password set.`,
      cause: error,
    });
  }
}

/** Replaces the state file whole. */
export async function writeState(dataDir: string, state: ClusterState): Promise<void> {
  await replaceFile(stateFile(dataDir), `${JSON.stringify(state, null, 2)}\n`, isRoot() ? await stat(dataDir) : undefined);
}

/** Writes a file that only its owner can read, by way of a new file beside it: safe against crashes and planted links. */
export async function replaceFile(file: string, text: string, owner?: { uid: number; gid: number }): Promise<void> {
  const draft = join(dirname(file), `.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(draft, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      if (owner) await handle.chown(owner.uid, owner.gid);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

function stateFile(dataDir: string): string {
  return join(dataDir, 'postgres.json');
}

function parseState(value: unknown): ClusterState {
  if (typeof value === 'object' && value !== null && 'version' in value && 'location' in value && 'port' in value && 'password' in value && 'ready' in value) {
    const { version, location, port, password, ready } = value;
    if (typeof version === 'string' && typeof location === 'string' && typeof port === 'number' && typeof password === 'string' && typeof ready === 'boolean') {
      return { version, location, port, password, ready };
    }
  }
  throw new Error('not a cluster state');
}
