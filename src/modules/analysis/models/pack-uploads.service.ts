import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { folderOfPack, unpackArchive } from '../../../platform/packs/pack-archive.js';
import { readModelPack, type ModelPack } from '../../../platform/packs/model-pack.js';
import { manifestForBundle, PACK_MARKS } from '../../../platform/packs/monai-bundle-folder.js';
import { checkSignature } from '../../../platform/packs/signature.js';
import { Database } from '../../../platform/database/database.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { BlobStore } from '../../../platform/storage/blob-store.js';
import { DiskGuard } from '../../../platform/storage/disk-guard.js';
import { storageError } from '../../../platform/storage/storage-error.js';
import { modelAdded } from './model-events.js';
import { INSTALLATION, ModelFilesStore, type StoredFile } from './model-files.store.js';
import { ModelsStore, type ModelRow } from './models.store.js';

/** What a process that died left behind is older than any upload lasts. */
const LEFTOVER_MS = 24 * 60 * 60_000;

/** Takes packs in over HTTP: unpacks and judges them on disk, keeps their files as blobs, and has a worker try them. */
@Injectable()
export class PackUploads implements OnModuleInit {
  private readonly root: string;
  private readonly guard: DiskGuard;

  constructor(
    private readonly models: ModelsStore,
    private readonly files: ModelFilesStore,
    private readonly blobs: BlobStore,
    private readonly vault: KeyVault,
    private readonly outbox: Outbox,
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    this.root = join(config.dataDir, 'model-uploads');
    this.guard = new DiskGuard(this.root, config.STORAGE_RESERVE_BYTES);
  }

  async onModuleInit(): Promise<void> {
    for (const name of await readdir(this.root).catch(() => [])) {
      const about = await stat(join(this.root, name)).catch(() => undefined);
      if (about && Date.now() - about.mtimeMs > LEFTOVER_MS) await rm(join(this.root, name), { recursive: true, force: true });
    }
  }

  /**
   * @param archive  a `.tgz` of a pack or a MONAI bundle
   * @returns `isNew` false when the very same pack is there
   * @throws AppError `empty-file`, `invalid-archive`, `truncated-file`, `archive-bomb`, `unsafe-archive-path`, `manifest-invalid`,
   *   `model-signature-invalid`, `model-conflict`, `storage-full`, `storage-unavailable`; what `archive` throws
   */
  async receive(archive: AsyncIterable<Uint8Array>): Promise<{ row: ModelRow; isNew: boolean }> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    await this.guard.assertRoom();
    const scratch = await mkdtemp(join(this.root, 'pack-'));
    try {
      const file = join(scratch, 'pack.tgz');
      await writeOut(archive, file);
      const unpacked = join(scratch, 'pack');
      await mkdir(unpacked);
      await unpackArchive(file, unpacked);
      const folder = await folderOfPack(unpacked, PACK_MARKS);
      await manifestForBundle(folder);
      const pack = await readModelPack(folder);
      const signedBy = await checkSignature(folder, pack.digest, { signers: this.config.MODEL_SIGNERS ?? [], required: this.config.MODEL_SIGNATURE_REQUIRED });
      return await this.keep(pack, signedBy);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }

  private async keep(pack: ModelPack, signedBy: string | null): Promise<{ row: ModelRow; isNew: boolean }> {
    const { name, version, analysis, recipe } = pack.manifest;
    // Before gigabytes are stored in vain; the transaction below looks again.
    const known = await this.models.find(name, version);
    if (known && known.state !== 'rejected') {
      if (known.digest !== pack.digest) throw new AppError('model-conflict', { detail: `Another pack is installed as ${name}@${version}. Give this one another version.` });
      return { row: known, isNew: false };
    }
    const attempt = randomUUID();
    const wanted = [{ path: 'manifest.json', file: join(pack.folder, 'manifest.json') }, ...pack.files].map(({ path, file }, index) => ({
      path, file, blobKey: `${INSTALLATION}/models/${pack.digest.slice('sha256:'.length)}/${attempt}-${String(index)}`,
    }));
    const blobKeys = wanted.map(({ blobKey }) => blobKey);
    await this.files.reserve(blobKeys);
    try {
      const stored: StoredFile[] = [];
      for (const { path, file, blobKey } of wanted) stored.push({ path, blobKey, ...(await this.store(file, blobKey)) });
      const added = await this.database.transaction('system', async (tx) => {
        const result = await this.files.add(tx, { name, version, digest: pack.digest, analysis, recipe, manifest: pack.manifest, signedBy, reason: null }, stored);
        if (result.isNew) await this.outbox.append(tx, modelAdded(pack.digest));
        return result;
      });
      if (!added.isNew) await this.files.release(blobKeys);
      return added;
    } catch (error) {
      await this.files.release(blobKeys).catch(() => undefined);
      throw error;
    }
  }

  private async store(file: string, blobKey: string): Promise<{ sha256: string; sizeBytes: number }> {
    const draft = await this.blobs.begin();
    try {
      const digest = await draft.write(createReadStream(file));
      await draft.commit(blobKey, await this.vault.keyOfInstitution(INSTALLATION));
      return digest;
    } finally {
      await draft.abort();
    }
  }
}

async function writeOut(source: AsyncIterable<Uint8Array>, file: string): Promise<void> {
  try {
    await pipeline(Readable.from(source, { objectMode: false }), createWriteStream(file, { flags: 'wx', mode: 0o600 }));
  } catch (error) {
    throw storageError(error);
  }
}
