import type { OpenAPIObject } from '@nestjs/swagger';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../platform/config.js';
import { DatabaseModule } from '../platform/database/database.module.js';
import { createHttpApp } from '../platform/http/http-app.js';
import { createDocument } from '../platform/http/openapi.js';
import { createLogger } from '../platform/ops/logger.js';
import { OpsModule } from '../platform/ops/ops.module.js';
import { StorageModule } from '../platform/storage/storage.module.js';
import { VERSION } from '../platform/version.js';
import { apiRole } from '../roles/api.js';

/** The document of the API role: its controllers are wired and never started, so no database is asked. */
export async function openApiDocument(): Promise<OpenAPIObject> {
  const scratch = await mkdtemp(join(tmpdir(), 'healthvision-openapi-'));
  try {
    const config = parseConfig({ DATA_DIR: scratch, LOG_LEVEL: 'silent' });
    const logger = createLogger('silent');
    const nowhere = 'postgresql://nobody@127.0.0.1:1/nowhere';
    class Wiring {}
    const app = await createHttpApp(
      { module: Wiring, imports: [OpsModule.forRoot(config, logger), DatabaseModule.forUrls({ appUrl: nowhere, systemUrl: nowhere }), StorageModule, apiRole()] },
      config, logger,
    );
    const document = createDocument(app, VERSION);
    await app.close().catch(() => undefined);
    return document;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
