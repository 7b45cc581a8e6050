import { Inject, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { newTally } from '../../../kernel/cache-tally.js';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { readModelPack } from '../../../platform/packs/model-pack.js';
import { BlobStore } from '../../../platform/storage/blob-store.js';
import { storageError } from '../../../platform/storage/storage-error.js';
import { ModelFilesStore } from './model-files.store.js';
import type { InstalledModel } from './model-folder.js';

/** A pack that was used so lately may be about to be loaded by another process on the same folder. */
const IN_USE_MS = 10 * 60_000;

/** Files of uploaded packs where ONNX Runtime can load them: `DATA_DIR/model-cache/<digest>`, up to MODEL_CACHE_BYTES, the least recently used go. */
@Injectable()
export class ModelCache {
  private readonly root: string;
  private readonly verified = new Map<string, InstalledModel>();
  private readonly tally = newTally();
  private readonly fetching = new Map<string, Promise<InstalledModel | undefined>>();

  constructor(
    private readonly files: ModelFilesStore,
    private readonly blobs: BlobStore,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    { caches }: Metrics,
  ) {
    caches.watch('model-files', this.tally);
    this.root = join(config.dataDir, 'model-cache');
  }

  /**
   * @returns undefined when no uploaded pack has this digest
   * @throws AppError `blob-missing`, `blob-corrupt`, `storage-full`, `storage-unavailable`; `model-load-failed` when the blobs are not the pack
   */
  async fetch(digest: string): Promise<InstalledModel | undefined> {
    const folder = this.folderOf(digest);
    const known = this.verified.get(digest);
    const now = new Date();
    if (known && (await utimes(join(folder, 'manifest.json'), now, now).then(() => true, () => false))) {
      this.tally.hits++;
      return known;
    }
    const running = this.fetching.get(digest) ?? this.load(digest, folder).finally(() => { this.fetching.delete(digest); });
    this.fetching.set(digest, running);
    return running;
  }

  private folderOf(digest: string): string {
    return join(this.root, digest.replace(/^sha256:/, ''));
  }

  private async load(digest: string, folder: string): Promise<InstalledModel | undefined> {
    const cached = await this.read(folder, digest);
    this.tally[cached ? 'hits' : 'misses']++;
    const found = cached ?? (await this.bring(digest, folder));
    if (found) this.verified.set(digest, found);
    return found;
  }

  /** What lies in the cache, every byte compared; undefined when it is not (any more) the pack. */
  private async read(folder: string, digest: string): Promise<InstalledModel | undefined> {
    if (!(await readFile(join(folder, 'manifest.json')).then(() => true, () => false))) return undefined;
    const pack = await readModelPack(folder).catch(() => undefined);
    if (pack?.digest === digest) return { digest, manifest: pack.manifest, files: pack.files };
    this.logger.warn({ digest }, 'a cached model pack is damaged, fetching it again');
    await rm(folder, { recursive: true, force: true });
    return undefined;
  }

  private async bring(digest: string, folder: string): Promise<InstalledModel | undefined> {
    const stored = await this.files.ofDigest(digest);
    if (stored.length === 0) return undefined;
    await this.makeRoom(stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    // Hidden until it is whole, and under a name of its own: several processes may fetch it at once.
    const draft = join(this.root, `.${randomUUID()}`);
    try {
      for (const { path, blobKey } of stored) await this.write(blobKey, join(draft, path));
      const pack = await readModelPack(draft).catch((cause: unknown) => { throw new AppError('model-load-failed', { detail: 'The stored files of the model are not those that its manifest names', cause }); });
      if (pack.digest !== digest) throw new AppError('model-load-failed', { detail: 'The stored files of the model are not those that its digest names' });
      await rename(draft, folder).catch((error: unknown) => { if (!isTaken(error)) throw storageError(error); });
      return await this.read(folder, digest);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  private async write(blobKey: string, place: string): Promise<void> {
    const reader = await this.blobs.open(blobKey);
    try {
      await mkdir(dirname(place), { recursive: true });
      await pipeline(Readable.from(reader.stream(), { objectMode: false }), createWriteStream(place, { flags: 'wx', mode: 0o600 }));
    } catch (error) {
      throw storageError(error);
    } finally {
      await reader.close();
    }
  }

  /** Removes what was not used for longest until `bytes` more fit; a pack that is larger than the whole cache is kept alone. */
  private async makeRoom(bytes: number): Promise<void> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const packs = (await Promise.all((await readdir(this.root)).map((name) => this.about(name)))).sort((a, b) => a.usedAt - b.usedAt);
    let total = packs.reduce((sum, pack) => sum + pack.bytes, bytes);
    for (const { name, bytes: freed, usedAt } of packs) {
      const isLeftover = name.startsWith('.');
      if ((!isLeftover && total <= this.config.MODEL_CACHE_BYTES) || Date.now() - usedAt < IN_USE_MS) continue;
      // Gone in one step for whoever looks; the sessions that hold it have it in memory.
      const grave = join(this.root, `.${randomUUID()}`);
      await rename(join(this.root, name), grave).then(() => rm(grave, { recursive: true, force: true }), () => undefined);
      this.verified.delete(`sha256:${name}`);
      total -= freed;
    }
  }

  private async about(name: string): Promise<{ name: string; bytes: number; usedAt: number }> {
    const folder = join(this.root, name);
    const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
    const sizes = await Promise.all(entries.filter((entry) => entry.isFile()).map((entry) => stat(join(entry.parentPath, entry.name)).then(({ size }) => size, () => 0)));
    const usedAt = await stat(join(folder, 'manifest.json')).catch(() => stat(folder)).then(({ mtimeMs }) => mtimeMs, () => 0);
    return { name, bytes: sizes.reduce((sum, size) => sum + size, 0), usedAt };
  }
}

/** Another process was faster. */
function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST');
}
