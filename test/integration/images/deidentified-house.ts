import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { DeidentifiedExportsController } from '../../../src/modules/images/deidentified-exports.controller.js';
import { DeidentifiedExportsService } from '../../../src/modules/images/deidentified-exports.service.js';
import { DeidentifiedExportsStore } from '../../../src/modules/images/deidentified-exports.store.js';
import { ImagesIngestModule } from '../../../src/modules/images/images-ingest.module.js';
import { IngestService } from '../../../src/modules/images/ingest.service.js';
import { BootstrapService } from '../../../src/modules/users/bootstrap.service.js';
import { hashPassword } from '../../../src/modules/users/password.js';
import { UsersModule } from '../../../src/modules/users/users.module.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { parseConfig } from '../../../src/platform/config.js';
import { VaultModule } from '../../../src/platform/crypto/vault.module.js';
import { Database } from '../../../src/platform/database/database.js';
import { DatabaseModule } from '../../../src/platform/database/database.module.js';
import { openDatabase } from '../../../src/platform/database/open-database.js';
import { createHttpApp } from '../../../src/platform/http/http-app.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { OpsModule } from '../../../src/platform/ops/ops.module.js';
import { QueueModule } from '../../../src/platform/queue/queue.module.js';
import { StorageModule } from '../../../src/platform/storage/storage.module.js';
import { ThreadsModule } from '../../../src/platform/threads/threads.module.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { ownerOf } from '../../support/owner.js';
import { ADMIN } from '../../support/product.js';
import { signIn } from '../users/house.js';

@Module({ imports: [ImagesIngestModule, ThreadsModule], controllers: [DeidentifiedExportsController], providers: [DeidentifiedExportsService, DeidentifiedExportsStore] })
class ExportsModule {}

/** De-identified exports behind HTTP, with the real ingest, database and blob store. */
export interface ExportHouse {
  url: string;
  directory: string;
  app: NestFastifyApplication;
  database: Database;
  institutionId: string;
  ingest(bytes: Uint8Array): Promise<void>;
  export(studyInstanceUid: string, body: unknown, authorization?: string): Promise<Response>;
  /** A token of somebody with this role. */
  person(role: string): Promise<string>;
  close(): Promise<void>;
}

export async function openExportHouse(): Promise<ExportHouse> {
  const directory = await preparedDirectory();
  const config = parseConfig({ DATA_DIR: directory, BOOTSTRAP_ADMIN_EMAIL: ADMIN.email, BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password, LOG_LEVEL: 'silent' });
  const logger = createLogger('silent');
  const opened = await openDatabase(config, logger);
  class Product {}
  const app = await createHttpApp({
    module: Product,
    imports: [OpsModule.forRoot(config, logger), DatabaseModule.forUrls(opened), VaultModule, StorageModule, QueueModule.forProducers(), UsersModule, ExportsModule],
  }, config, logger);
  const { institutionId } = await app.get(BootstrapService).ensureFirstAdministrator();
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const authorization = `Bearer ${(await signIn(url)).access_token}`;
  const database = app.get(Database);
  const owner = ownerOf(opened);
  return {
    url, directory, app, database, institutionId,
    ingest: async (bytes) => {
      const fate = await app.get(IngestService).ingest(Readable.from([bytes]), { institutionId });
      if (fate.status !== 'stored') throw new Error(`not stored: ${JSON.stringify(fate)}`);
    },
    export: (studyInstanceUid, body, as = authorization) => fetch(`${url}/api/v1/studies/${studyInstanceUid}/deidentified-exports`, { method: 'POST', headers: { 'authorization': as, 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    person: async (role) => {
      const email = `${uuidv7()}@hospital.test`;
      await owner.user.create({ data: { id: uuidv7(), institutionId, email, displayName: role, role, passwordHash: await hashPassword(ADMIN.password) } });
      return `Bearer ${(await signIn(url, email)).access_token}`;
    },
    close: async () => {
      await app.close();
      await owner.$disconnect();
      await opened.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
