import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { rmSync } from 'node:fs';
import type { PrismaClient } from '../../../src/generated/prisma/client.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { ImagesModule } from '../../../src/modules/images/images.module.js';
import { imagesJobs, ImagesWorkerModule } from '../../../src/modules/images/images.worker.js';
import { BootstrapService } from '../../../src/modules/users/bootstrap.service.js';
import { hashPassword } from '../../../src/modules/users/password.js';
import { UsersModule } from '../../../src/modules/users/users.module.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
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
import { ownerOf } from '../../support/owner.js';
import { ADMIN } from '../../support/product.js';
import { signIn } from '../users/house.js';

/** Users and images behind HTTP, with the jobs of images: what can only be seen or done from inside is at hand. */
export interface ArchiveHouse {
  url: string;
  config: Config;
  app: NestFastifyApplication;
  institutionId: string;
  database: Database;
  /** Whom no wall stops. */
  owner: PrismaClient;
  /** With the administrator's token, unless `init` has another. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  json<T>(path: string, init?: RequestInit): Promise<T>;
  /** One more API process on the same database and blobs, as far as one process can be two. */
  neighbour(): Promise<string>;
  /** A person of a role, in the same institution or in one of their own. */
  person(role: string, where: 'here' | 'elsewhere'): Promise<{ authorization: string; institutionId: string }>;
  close(): Promise<void>;
}

export async function openArchiveHouse(variables: Record<string, string> = {}): Promise<ArchiveHouse> {
  const directory = await preparedDirectory();
  const config = parseConfig({ DATA_DIR: directory, BOOTSTRAP_ADMIN_EMAIL: ADMIN.email, BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password, LOG_LEVEL: 'silent', SETTLE_SECONDS: '600', ...variables });
  const logger = createLogger('silent');
  const opened = await openDatabase(config, logger);
  const apps: NestFastifyApplication[] = [];
  const open = async (works: boolean): Promise<NestFastifyApplication> => {
    class Product {}
    const app = await createHttpApp({
      module: Product,
      imports: [
        OpsModule.forRoot(config, logger), DatabaseModule.forUrls(opened), VaultModule, StorageModule, works ? QueueModule.forWorkers(config, imagesJobs) : QueueModule.forProducers(),
        UsersModule, ImagesModule, ...(works ? [ImagesWorkerModule] : []),
      ],
    }, config, logger);
    apps.push(app);
    await app.listen(0, '127.0.0.1');
    return app;
  };
  const app = await open(true);
  await app.get(BootstrapService).ensureFirstAdministrator();
  const url = await app.getUrl();
  const authorization = `Bearer ${(await signIn(url)).access_token}`;
  const database = app.get(Database);
  const owner = ownerOf(opened);
  const institution = await owner.institution.findFirstOrThrow();
  const call = (path: string, init: RequestInit = {}): Promise<Response> => fetch(path.startsWith('http') ? path : `${url}${path}`, { ...init, headers: { authorization, ...(init.headers as Record<string, string> | undefined) } });
  return {
    url, config, app, database, owner, institutionId: institution.id, fetch: call,
    json: async <T>(path: string, init?: RequestInit) => {
      const response = await call(path, init);
      const text = await response.text();
      if (!response.ok) throw new Error(`${init?.method ?? 'GET'} ${path}: ${String(response.status)} ${text}`);
      // The caller names the shape that the contract promises.
      return JSON.parse(text) as T;
    },
    neighbour: async () => (await open(false)).getUrl(),
    person: async (role, where) => {
      const institutionId = where === 'here' ? institution.id : (await owner.institution.create({ data: { id: uuidv7(), name: 'Elsewhere' } })).id;
      const email = `${uuidv7()}@hospital.test`;
      await owner.user.create({ data: { id: uuidv7(), institutionId, email, displayName: role, role, passwordHash: await hashPassword(ADMIN.password) } });
      return { authorization: `Bearer ${(await signIn(url, email)).access_token}`, institutionId };
    },
    close: async () => {
      for (const one of apps) await one.close();
      await owner.$disconnect();
      await opened.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
