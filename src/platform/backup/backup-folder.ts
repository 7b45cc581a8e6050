import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, isNoSpace } from '../../kernel/errors.js';
import { withProcessLock } from '../database/embedded-lock.js';
import { isMissing } from '../storage/storage-error.js';
import { BACKUP_ID, parseManifest, type BackupManifest, type BackupPart } from './backup-manifest.js';

const LOCK_PATIENCE_MS = 200;
/** Far beyond what tables and settings need. */
const MOST_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Begins the names of what is not whole yet, or any more. */
export const HALF = '.half-';
const SETTINGS_KEPT = 10;

export const DATABASE_PART = 'database.tar.gz.age';
export const KEYS_PART = 'keys.tar.gz.age';
export const BLOBS_PART = 'blobs.jsonl.gz';

export interface KnownBackup {
  id: string;
  /** Its text, which the MAC is over. */
  text: string;
  mac: string;
  manifest: BackupManifest;
}

/** A backup that is listed although it cannot be read. */
export interface BrokenBackup {
  id: string;
  fault: AppError;
}

/**
 * Where backups lie: `<id>/` with manifest and parts, one for each; `objects/ab/<sha256>` with the bytes of blobs, which they have in common;
 * `settings/` with the last ten versions of the settings. What is not whole has a name that begins with `.half-` and is nobody's backup.
 */
export class BackupFolder {
  constructor(
    /** Absolute. */
    readonly path: string,
  ) {}

  /** @throws AppError `backup-running` while another process writes into it */
  async locked<T>(work: () => Promise<T>): Promise<T> {
    await this.attempt(() => mkdir(this.path, { recursive: true, mode: 0o700 }));
    const refusal = (pid: string): AppError => new AppError('backup-running', { detail: `Process ${pid} writes into ${this.path}.` });
    return withProcessLock(join(this.path, '.lock'), work, LOCK_PATIENCE_MS, refusal);
  }

  /** A folder for a backup in the making. */
  async begin(id: string): Promise<string> {
    const folder = join(this.path, `${HALF}${id}`);
    await this.attempt(() => mkdir(folder, { mode: 0o700 }));
    return folder;
  }

  /** Makes a backup whole, in one step that a crash cannot halve. */
  async finish(id: string, manifest: string, mac: string): Promise<void> {
    const folder = join(this.path, `${HALF}${id}`);
    await this.attempt(async () => {
      await writeDurably(join(folder, 'manifest.mac'), `${mac}\n`);
      await writeDurably(join(folder, 'manifest.json'), manifest);
      await syncFolder(folder);
      await rename(folder, join(this.path, id));
      await syncFolder(this.path);
    });
  }

  /** Removes what backups left that were cut off; objects that they had copied whole stay, and are used. Under the lock only. */
  async sweepHalves(): Promise<void> {
    for (const name of await this.names('')) if (name.startsWith(HALF)) await rm(join(this.path, name), { recursive: true, force: true });
    for (const name of await this.names('objects')) if (name.startsWith(HALF)) await rm(join(this.path, 'objects', name), { force: true });
  }

  /** Whole backups, oldest first. */
  async ids(): Promise<string[]> {
    return (await this.names('')).filter((name) => BACKUP_ID.test(name)).sort();
  }

  async list(): Promise<(KnownBackup | BrokenBackup)[]> {
    const found: (KnownBackup | BrokenBackup)[] = [];
    for (const id of await this.ids()) {
      found.push(await this.read(id).catch((error: unknown) => {
        if (error instanceof AppError && error.code !== 'storage-unavailable') return { id, fault: error };
        throw error;
      }));
    }
    return found;
  }

  /** @param id  default: the newest @throws AppError `backup-not-found`, `backup-corrupt`, `backup-incompatible` */
  async find(id?: string): Promise<KnownBackup> {
    if (id !== undefined && !BACKUP_ID.test(id)) throw new AppError('backup-not-found', { detail: `${JSON.stringify(id.slice(0, 60))} is no id of a backup.` });
    const wanted = id ?? (await this.ids()).at(-1);
    if (wanted === undefined) throw new AppError('backup-not-found', { detail: `There is no backup in ${this.path}.` });
    return this.read(wanted);
  }

  /**
   * The backup to take the keys of institutions and studies from: itself, or the newest after it where its own are gone. What was encrypted under a key
   * that was destroyed since then stays unreadable, as it was meant to.
   *
   * @throws AppError `backup-corrupt`
   */
  async keysFor(backup: KnownBackup): Promise<KnownBackup> {
    if ((await this.names(backup.id)).includes(KEYS_PART)) return backup;
    for (const id of (await this.ids()).reverse()) if (id > backup.id && (await this.names(id)).includes(KEYS_PART)) return this.read(id);
    throw new AppError('backup-corrupt', { detail: `${KEYS_PART} of ${backup.id} is missing, and no later backup has one.` });
  }

  async removeKeys(id: string): Promise<void> {
    await this.attempt(() => rm(join(this.path, id, KEYS_PART), { force: true }));
  }

  async remove(id: string): Promise<void> {
    // By another name first: half of a backup is not to be listed, however this ends.
    const doomed = join(this.path, `${HALF}${id}`);
    await this.attempt(async () => {
      await rename(join(this.path, id), doomed);
      await rm(doomed, { recursive: true, force: true });
    });
  }

  /** Keeps the last ten versions that differ. */
  async keepSettings(id: string, settings: string): Promise<void> {
    await this.attempt(async () => {
      await mkdir(join(this.path, 'settings'), { recursive: true, mode: 0o700 });
      const versions = (await this.names('settings')).filter((name) => BACKUP_ID.test(name.replace(/\.json$/, ''))).sort();
      const newest = versions.at(-1);
      if (newest !== undefined && (await readFile(join(this.path, 'settings', newest), 'utf8')) === settings) return;
      await writeDurably(join(this.path, 'settings', `${id}.json`), settings);
      for (const old of versions.slice(0, Math.max(0, versions.length + 1 - SETTINGS_KEPT))) await rm(join(this.path, 'settings', old), { force: true });
    });
  }

  /** Of a part of a whole backup. */
  pathOf(id: string, part: string): string {
    return join(this.path, id, part);
  }

  /** Where the bytes with this digest lie, or would. */
  objectPath(sha256: string): string {
    return join(this.path, 'objects', sha256.slice(0, 2), sha256);
  }

  /** Size of an object that is there. */
  async objectSize(sha256: string): Promise<number | undefined> {
    const found = await stat(this.objectPath(sha256)).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw folderError(error);
    });
    return found?.isFile() === true ? found.size : undefined;
  }

  /** Names in a folder of it; none when it is missing. */
  async names(folder: string): Promise<string[]> {
    return readdir(join(this.path, folder)).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw folderError(error);
    });
  }

  private async read(id: string): Promise<KnownBackup> {
    const [text, mac] = await Promise.all([this.smallFile(id, 'manifest.json'), this.smallFile(id, 'manifest.mac')]);
    return { id, text, mac: mac.trim(), manifest: parseManifest(text, id) };
  }

  private async smallFile(id: string, name: string): Promise<string> {
    const path = this.pathOf(id, name);
    try {
      const { size } = await stat(path);
      if (size > MOST_MANIFEST_BYTES) throw new AppError('backup-corrupt', { detail: `${name} of ${id} is too large.` });
      return await readFile(path, 'utf8');
    } catch (error) {
      if (isMissing(error)) throw new AppError((await this.names('')).includes(id) ? 'backup-corrupt' : 'backup-not-found', { detail: `${path} is missing.`, cause: error });
      throw folderError(error);
    }
  }

  private async attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw folderError(error);
    }
  }
}

/** @throws AppError `backup-corrupt` when a part is not what the manifest says */
export async function assertPart(path: string, { sizeBytes, sha256 }: BackupPart): Promise<void> {
  const found = await fileDigest(path).catch((error: unknown) => {
    if (isMissing(error)) throw new AppError('backup-corrupt', { detail: `${path} is missing.`, cause: error });
    throw folderError(error);
  });
  if (found.sizeBytes !== sizeBytes || found.sha256 !== sha256) throw new AppError('backup-corrupt', { detail: `${path} is not what was written.` });
}

/** Throws as the file system does. */
export async function fileDigest(path: string): Promise<BackupPart> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const bytes = chunk as Buffer; // files are read in byte mode
    hash.update(bytes);
    sizeBytes += bytes.length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** What the file system answered, as ours: a folder of backups is no blob store, and is told apart from it. */
export function folderError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  if (isNoSpace(error)) return new AppError('storage-full', { detail: 'No room is left in the folder of the backups.', cause: error });
  return new AppError('storage-unavailable', { detail: `The folder of the backups cannot be used (${code}).`, cause: error });
}

async function writeDurably(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flush: true });
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
