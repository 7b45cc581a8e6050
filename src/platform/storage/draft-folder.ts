import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNoSpace } from '../../kernel/errors.js';
import { isForeign, presenceName, runningProcess } from '../database/embedded-presence.js';
import type { DiskGuard } from './disk-guard.js';
import { DraftFile } from './draft-file.js';
import { storageError } from './storage-error.js';

/** A draft of another machine or container, whose processes cannot be seen from here, counts as left behind when nobody has written to it for so long. */
const FOREIGN_QUIET_MS = 3600 * 1000;

/** Where drafts lie until they are committed. Their names say which process writes them. */
export class DraftFolder {
  private owner = '';

  constructor(
    private readonly path: string,
    private readonly guard: DiskGuard,
  ) {}

  /** Makes the folder and sweeps what nobody will commit any more. @throws AppError `storage-unavailable` */
  async prepare(): Promise<void> {
    try {
      this.owner = await presenceName();
      await mkdir(this.path, { recursive: true, mode: 0o700 });
      for (const name of await readdir(this.path)) {
        if (await isLeftBehind(this.path, name)) await rm(join(this.path, name), { force: true });
      }
    } catch (error) {
      throw storageError(error);
    }
  }

  /** @throws AppError `storage-full` when the reserve is all that is left, `storage-unavailable` */
  async begin(): Promise<DraftFile> {
    await this.guard.assertRoom();
    return new DraftFile(join(this.path, `${this.owner}.${randomUUID()}`), this.guard);
  }

  /** Tries to write. A full disk passes: it still serves what it has. @throws AppError `storage-unavailable` */
  async ping(): Promise<void> {
    const probe = join(this.path, `${this.owner}.probe-${randomUUID()}`);
    try {
      await writeFile(probe, 'ok', { mode: 0o600 });
    } catch (error) {
      if (!isNoSpace(error)) throw storageError(error);
    } finally {
      await rm(probe, { force: true }).catch(() => undefined);
    }
  }
}

async function isLeftBehind(folder: string, name: string): Promise<boolean> {
  if (await isForeign(name)) {
    const age = await stat(join(folder, name)).then(({ mtimeMs }) => Date.now() - mtimeMs, () => 0);
    return age > FOREIGN_QUIET_MS;
  }
  const [pid, startedAt] = name.split('.');
  const writer = await runningProcess(Number(pid));
  return writer?.startedAt !== startedAt;
}
