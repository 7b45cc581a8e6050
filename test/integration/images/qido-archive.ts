import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { rmSync } from 'node:fs';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import type { PrismaClient } from '../../../src/generated/prisma/client.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { instanceRecord } from '../../../src/modules/images/instance-record.js';
import { InstancesStore } from '../../../src/modules/images/instances.store.js';
import { CapabilitiesController } from '../../../src/modules/images/qido/capabilities.controller.js';
import { SearchController } from '../../../src/modules/images/qido/search.controller.js';
import { SearchService } from '../../../src/modules/images/qido/search.service.js';
import { SearchStore } from '../../../src/modules/images/qido/search.store.js';
import { SealedAttributesReader } from '../../../src/modules/images/qido/stored-attributes.js';
import { PatientsStore } from '../../../src/modules/images/patients/patients.store.js';
import { BootstrapService } from '../../../src/modules/users/bootstrap.service.js';
import { UsersModule } from '../../../src/modules/users/users.module.js';
import { parseConfig } from '../../../src/platform/config.js';
import { KeyVault } from '../../../src/platform/crypto/key-vault.js';
import { VaultModule } from '../../../src/platform/crypto/vault.module.js';
import { Database } from '../../../src/platform/database/database.js';
import { DatabaseModule } from '../../../src/platform/database/database.module.js';
import { openDatabase } from '../../../src/platform/database/open-database.js';
import { createHttpApp } from '../../../src/platform/http/http-app.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { OpsModule } from '../../../src/platform/ops/ops.module.js';
import { QueueModule } from '../../../src/platform/queue/queue.module.js';
import { StorageModule } from '../../../src/platform/storage/storage.module.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { dicomFile, type Element } from '../../support/dicom-builder.js';
import { ownerOf } from '../../support/owner.js';
import { ADMIN } from '../../support/product.js';
import { signIn } from '../users/house.js';

@Module({ controllers: [SearchController, CapabilitiesController], providers: [SearchService, SearchStore, SealedAttributesReader, PatientsStore, InstancesStore] })
class SearchModule {}

/** QIDO-RS behind HTTP on a database of its own, filled with rows as the ingest makes them; nothing is in the blob store. */
export interface Archive {
  url: string;
  app: NestFastifyApplication;
  /** Whom no wall stops. */
  owner: PrismaClient;
  institutionId: string;
  /** Rows of one instance of the institution, or of another. */
  store(elements: readonly Element[], institutionId?: string): Promise<void>;
  fetch(path: string, headers?: Record<string, string>, method?: string): Promise<Response>;
  close(): Promise<void>;
}

export async function openArchive(): Promise<Archive> {
  const directory = await preparedDirectory();
  const config = parseConfig({ DATA_DIR: directory, BOOTSTRAP_ADMIN_EMAIL: ADMIN.email, BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password, LOG_LEVEL: 'silent' });
  const logger = createLogger('silent');
  const database = await openDatabase(config, logger);
  class Product {}
  const app = await createHttpApp({
    module: Product,
    imports: [OpsModule.forRoot(config, logger), DatabaseModule.forUrls(database), VaultModule, StorageModule, QueueModule.forProducers(), UsersModule, SearchModule],
  }, config, logger);
  const { institutionId } = await app.get(BootstrapService).ensureFirstAdministrator();
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const { access_token: token } = await signIn(url);
  const owner = ownerOf(database);
  return {
    url, app, owner, institutionId,
    store: (elements, institution = institutionId) => storeRows(app, institution, elements),
    fetch: (path, headers = {}, method = 'GET') => fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${token}`, ...headers } }),
    close: async () => {
      await app.close();
      await owner.$disconnect();
      await database.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function storeRows(app: NestFastifyApplication, institutionId: string, elements: readonly Element[]): Promise<void> {
  const parsed = parseInstanceBytes(dicomFile(elements));
  const vault = app.get(KeyVault);
  const key = await vault.keyOfStudy(institutionId, parsed.studyInstanceUid);
  const record = instanceRecord(parsed, { institutionId, key, blobKey: `${institutionId}/${uuidv7()}`, derived: false, sizeBytes: 1, sha256: '0'.repeat(64) });
  const index = await vault.blindIndex(institutionId);
  await app.get(Database).transaction({ institutionId }, (tx) => app.get(InstancesStore).insert(tx, [record], index));
}
