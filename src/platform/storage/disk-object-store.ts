import { mkdir, opendir, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DiskGuard } from './disk-guard.js';
import { DraftInFile, within, type DraftFile } from './draft-file.js';
import { DraftFolder } from './draft-folder.js';
import { DurableFolders } from './durable-folders.js';
import { assertObjectKey, folderOfPrefix, type ListedObject } from './object-key.js';
import { OBJECT_KEY, ObjectStore, type ByteRange, type ObjectDraft, type ObjectReader } from './object-store.js';
import { OpenFile } from './open-file.js';
import { isMissing, missingOr, storageError } from './storage-error.js';

/** A folder can vanish between its making and the rename into it, when another request deletes its last object. */
const MOST_RENAMES = 5;

/** Objects as files: `<root>/objects/<key>`, drafts under `<root>/drafts`. Several processes and hosts may share the root. */
export class DiskObjectStore extends ObjectStore {
  private readonly objects: string;
  private readonly drafts: DraftFolder;
  private readonly folders: DurableFolders;

  /** @param guard  of the file system that holds `root` */
  constructor(
    private readonly root: string,
    guard: DiskGuard,
  ) {
    super();
    this.objects = join(root, 'objects');
    this.drafts = new DraftFolder(join(root, 'drafts'), guard);
    this.folders = new DurableFolders(this.objects);
  }

  async prepare(): Promise<void> {
    try {
      await mkdir(this.objects, { recursive: true, mode: 0o700 });
      // So that a crash does not take the folder of all objects away; what is above was there before, or is the operator's.
      await this.folders.sync(this.root);
      await this.folders.sync(dirname(this.root));
    } catch (error) {
      throw storageError(error);
    }
    await this.drafts.prepare();
  }

  async begin(): Promise<ObjectDraft> {
    return new DiskDraft(await this.drafts.begin(), this.objects, this.folders);
  }

  async open(key: string): Promise<ObjectReader> {
    const path = this.pathOf(key);
    let file: OpenFile | undefined;
    try {
      file = await OpenFile.open(path, 'r');
      return new DiskReader(file, file.sizeBytes);
    } catch (error) {
      file?.close();
      throw missingOr(error);
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.pathOf(key);
    const folder = dirname(path);
    try {
      await unlink(path);
      // The folder goes with its last object; while it holds others this fails, and that is as it should be.
      const emptied = folder !== this.objects && (await rmdir(folder).then(() => true, () => false));
      if (emptied) this.folders.forget(folder);
      await this.folders.sync(emptied ? dirname(folder) : folder);
    } catch (error) {
      if (!isMissing(error)) throw storageError(error);
    }
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    try {
      yield* this.listFolder(folderOfPrefix(prefix), prefix);
    } catch (error) {
      throw storageError(error);
    }
  }

  ping(): Promise<void> {
    return this.drafts.ping();
  }

  private async *listFolder(folder: string, prefix: string): AsyncGenerator<ListedObject> {
    const entries = await opendir(join(this.objects, folder)).catch(nothingIfMissing);
    if (!entries) return;
    // Read to its end or left early, the loop closes the folder.
    for await (const entry of entries) {
      const key = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && (prefix.startsWith(`${key}/`) || key.startsWith(prefix))) yield* this.listFolder(key, prefix);
      if (!entry.isFile() || !key.startsWith(prefix) || !OBJECT_KEY.test(key)) continue;
      const file = await stat(join(this.objects, key)).catch(nothingIfMissing);
      if (file) yield { key, sizeBytes: file.size, modifiedAt: file.mtime };
    }
  }

  private pathOf(key: string): string {
    assertObjectKey(key);
    return join(this.objects, key);
  }
}

class DiskDraft extends DraftInFile {
  constructor(
    file: DraftFile,
    private readonly objects: string,
    private readonly folders: DurableFolders,
  ) {
    super(file);
  }

  async commit(key: string): Promise<void> {
    assertObjectKey(key);
    const target = join(this.objects, key);
    await this.file.sync();
    await this.file.assertKept();
    try {
      await this.moveTo(target);
    } catch (error) {
      throw storageError(error);
    }
    try {
      await this.folders.sync(dirname(target));
    } catch (error) {
      // What is not sure to last is not left to be seen.
      await unlink(target).catch(() => undefined);
      throw storageError(error);
    }
    this.file.close();
  }

  private async moveTo(target: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.folders.ensure(dirname(target));
      try {
        await this.file.moveTo(target);
        return;
      } catch (error) {
        if (!isMissing(error) || attempt === MOST_RENAMES) throw error;
        this.folders.forget();
      }
    }
  }
}

/** One open file: what is deleted meanwhile stays readable until it is closed. */
class DiskReader implements ObjectReader {
  constructor(
    private readonly file: OpenFile,
    readonly sizeBytes: number,
  ) {}

  async read(range: ByteRange, into?: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.file.read(within(range, this.sizeBytes), into);
    } catch (error) {
      throw storageError(error);
    }
  }

  close(): Promise<void> {
    this.file.close();
    return Promise.resolve();
  }
}

function nothingIfMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}
