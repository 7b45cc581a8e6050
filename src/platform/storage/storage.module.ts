import { Global, Module } from '@nestjs/common';
import { join } from 'node:path';
import { CONFIG, type Config } from '../config.js';
import { BlobStore } from './blob-store.js';
import { DiskBlobStore } from './disk-blob-store.js';

@Global()
@Module({
  providers: [
    {
      provide: BlobStore,
      inject: [CONFIG],
      useFactory: async (config: Config) => {
        const store = new DiskBlobStore(join(config.dataDir, 'blobs'));
        await store.prepare();
        return store;
      },
    },
  ],
  exports: [BlobStore],
})
export class StorageModule {}
