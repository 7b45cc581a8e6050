import { Global, Module, type OnApplicationShutdown } from '@nestjs/common';
import { join } from 'node:path';
import { Gauge } from 'prom-client';
import { AppError } from '../../kernel/errors.js';
import { CONFIG, type Config } from '../config.js';
import { VaultModule } from '../crypto/vault.module.js';
import { Metrics } from '../ops/metrics.js';
import { soon } from '../ops/soon.js';
import { BlobStore } from './blob-store.js';
import { DiskGuard } from './disk-guard.js';
import { DiskObjectStore } from './disk-object-store.js';
import { ObjectStore } from './object-store.js';

@Global()
@Module({
  imports: [VaultModule],
  providers: [
    {
      provide: ObjectStore,
      inject: [CONFIG, Metrics],
      useFactory: async (config: Config, metrics: Metrics) => {
        const { store, guard } = await openObjectStore(config);
        showRoom(metrics, guard);
        return store;
      },
    },
    BlobStore,
  ],
  exports: [ObjectStore, BlobStore],
})
export class StorageModule {}

/** The store of the configuration, ready; one in S3 is to be let go with `onApplicationShutdown`. @throws AppError `configuration-invalid`, `storage-unavailable` */
export async function openObjectStore(config: Config): Promise<{ store: ObjectStore & Partial<OnApplicationShutdown>; guard: DiskGuard }> {
  const folder = join(config.dataDir, config.BLOB_STORE === 's3' ? 'drafts' : 'blobs');
  const guard = new DiskGuard(folder, config.STORAGE_RESERVE_BYTES);
  const store = config.BLOB_STORE === 's3' ? await s3Store(config, folder, guard) : new DiskObjectStore(folder, guard);
  await store.prepare();
  return { store, guard };
}

/** The SDK is loaded where it is wanted only: it takes time and memory. */
async function s3Store(config: Config, draftFolder: string, guard: DiskGuard): Promise<ObjectStore & OnApplicationShutdown> {
  if (config.S3_BUCKET === undefined) throw new AppError('configuration-invalid', { detail: 'S3_BUCKET is required when BLOB_STORE=s3.' });
  const [{ createS3Client }, { S3ObjectStore }] = await Promise.all([import('./s3-client.js'), import('./s3-object-store.js')]);
  return new S3ObjectStore(createS3Client(config), config.S3_BUCKET, draftFolder, guard);
}

/** Asked for at every scrape. */
function showRoom(metrics: Metrics, guard: DiskGuard): void {
  new Gauge({
    name: 'healthvision_storage_free_bytes', help: 'Free bytes of the file system that holds the blobs, or their drafts when they go to S3', registers: [metrics.registry],
    async collect() { this.set((await soon(guard.room()))?.freeBytes ?? NaN); },
  });
  new Gauge({
    name: 'healthvision_storage_size_bytes', help: 'Size of that file system, without what it reserves for root', registers: [metrics.registry],
    async collect() { this.set((await soon(guard.room()))?.sizeBytes ?? NaN); },
  });
}
