import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OpenFile } from './open-file.js';

/** Folders that are known to be durable; beyond this they are forgotten, and cost a look again. */
const MOST_KNOWN = 20_000;

/** Makes the names in folders survive a crash, which they do only once their folder was synced. */
export class DurableFolders {
  private readonly known = new Map<string, Promise<void>>();
  private readonly syncs = new Map<string, { running: Promise<void>; next: Promise<void> | undefined }>();

  /** @param root  exists; nothing above it is looked at */
  constructor(private readonly root: string) {}

  /** Makes `folder`, somewhere below the root, and sees to it that it and those above it are durable. Free for a folder that is known. */
  ensure(folder: string): Promise<void> {
    if (folder === this.root) return Promise.resolve();
    const known = this.known.get(folder);
    if (known) return known;
    if (this.known.size >= MOST_KNOWN) this.known.clear();
    const making = this.make(folder);
    this.known.set(folder, making);
    making.catch(() => { this.known.delete(folder); });
    return making;
  }

  /** The folder has gone; without a name, nobody knows which. */
  forget(folder?: string): void {
    if (folder === undefined) this.known.clear();
    else this.known.delete(folder);
  }

  /**
   * Makes the present names of `folder` durable. Callers that come while a sync runs share the one that follows it.
   * Throws as the file system does.
   */
  sync(folder: string): Promise<void> {
    const state = this.syncs.get(folder);
    if (!state) {
      const running = this.syncNow(folder);
      this.syncs.set(folder, { running, next: undefined });
      return running;
    }
    state.next ??= state.running.then(() => undefined, () => undefined).then(() => this.syncNow(folder));
    return state.next;
  }

  private async make(folder: string): Promise<void> {
    const parent = dirname(folder);
    await this.ensure(parent);
    // Also when it was there: its maker may have died, or be about to, before the sync.
    await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => { if (!isThere(error)) throw error; });
    await this.sync(parent);
  }

  private async syncNow(folder: string): Promise<void> {
    try {
      const names = await OpenFile.open(folder, 'r');
      try {
        await names.sync();
      } finally {
        names.close();
      }
    } finally {
      const next = this.syncs.get(folder)?.next;
      if (next) this.syncs.set(folder, { running: next, next: undefined });
      else this.syncs.delete(folder);
    }
  }
}

function isThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}
