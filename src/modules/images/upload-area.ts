import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, isNoSpace } from '../../kernel/errors.js';
import { CONFIG, type Config } from '../../platform/config.js';
import { writeFully } from '../../platform/storage/write-fully.js';
import type { ByteSource } from './byte-source.js';

/** A file of a request that has to wait, or that is read back and forth. */
export interface SpooledFile {
  path: string;
  sizeBytes: number;
  /** Harmless a second time. */
  remove(): Promise<void>;
}

/** `DATA_DIR/uploads`: archives and pictures while their request lasts, readable by this account only. */
@Injectable()
export class UploadArea implements OnModuleInit {
  private readonly folder: string;

  constructor(@Inject(CONFIG) config: Config) {
    this.folder = join(config.dataDir, 'uploads');
  }

  /** Removes what processes left behind that are gone. */
  async onModuleInit(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.folder)) {
      if (!ownerLives(name)) await rm(join(this.folder, name), { force: true });
    }
  }

  /** Writes `source` to a file; nothing stays behind when that fails. @throws AppError `storage-full`; what `source` throws */
  async spool(source: ByteSource): Promise<SpooledFile> {
    const path = join(this.folder, `${String(process.pid)}-${randomUUID()}`);
    const remove = (): Promise<void> => rm(path, { force: true });
    const handle = await open(path, 'wx', 0o600).catch((error: unknown) => { throw storageError(error); });
    let sizeBytes = 0;
    try {
      for await (const chunk of source) {
        await writeFully(handle, chunk, sizeBytes).catch((error: unknown) => { throw storageError(error); });
        sizeBytes += chunk.byteLength;
      }
    } catch (error) {
      await handle.close();
      await remove();
      throw error;
    }
    await handle.close();
    return { path, sizeBytes, remove };
  }
}

function storageError(error: unknown): AppError {
  return new AppError(isNoSpace(error) ? 'storage-full' : 'storage-unavailable', { cause: error });
}

/** Names begin with the process id. A file of an earlier process with our id cannot be ours: we have just begun. */
function ownerLives(name: string): boolean {
  const pid = Number.parseInt(name, 10);
  if (pid === process.pid || !Number.isInteger(pid)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
