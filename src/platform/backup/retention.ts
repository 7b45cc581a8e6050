import { rm } from 'node:fs/promises';
import { AppError } from '../../kernel/errors.js';
import { BLOBS_PART, type BackupFolder } from './backup-folder.js';
import { timeOf } from './backup-manifest.js';
import { readBlobList } from './blob-list.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** So long every backup is kept; after it the last one of each day (UTC). */
const EVERY_ONE_MS = 48 * HOUR_MS;

/**
 * Which backups are to go: what is older than `keepDays`, and of what is older than two days all but the last of each day. The newest stays in any case.
 *
 * @param ids  oldest first
 */
export function superseded(ids: readonly string[], keepDays: number, now: Date): string[] {
  const newest = ids.at(-1);
  const lastOfDay = new Map(ids.map((id) => [id.slice(0, 8), id]));
  return ids.filter((id) => {
    const age = now.getTime() - timeOf(id).getTime();
    if (id === newest || age <= EVERY_ONE_MS) return false;
    return age > keepDays * DAY_MS || lastOfDay.get(id.slice(0, 8)) !== id;
  });
}

/** Whose keys are to go: a study that was erased stays readable from backups for two days and no longer. The newest keeps them in any case. */
export function keyless(ids: readonly string[], now: Date): string[] {
  return ids.slice(0, -1).filter((id) => now.getTime() - timeOf(id).getTime() > EVERY_ONE_MS);
}

/**
 * Removes old backups and the objects that none of the others has. Under the lock only.
 *
 * @returns how many of each
 */
export async function prune(folder: BackupFolder, keepDays: number, now: Date): Promise<{ backups: number; objects: number }> {
  const old = superseded(await folder.ids(), keepDays, now);
  for (const id of old) await folder.remove(id);
  for (const id of keyless(await folder.ids(), now)) await folder.removeKeys(id);
  return { backups: old.length, objects: old.length === 0 ? 0 : await removeUnused(folder) };
}

async function removeUnused(folder: BackupFolder): Promise<number> {
  const used = new Set<string>();
  try {
    for (const id of await folder.ids()) for await (const { sha256 } of readBlobList(folder.pathOf(id, BLOBS_PART), Infinity)) used.add(sha256);
  } catch (error) {
    // Nobody knows what a damaged backup needs: nothing is removed while there is one.
    if (error instanceof AppError || (error instanceof Error && 'syscall' in error)) return 0;
    throw error;
  }
  let removed = 0;
  for (const shard of await folder.names('objects')) {
    for (const name of await folder.names(`objects/${shard}`)) {
      if (used.has(name) || folder.objectPath(name) !== `${folder.path}/objects/${shard}/${name}`) continue;
      await rm(folder.objectPath(name), { force: true });
      removed++;
    }
  }
  return removed;
}
