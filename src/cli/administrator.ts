import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { BootstrapService, type FirstAdministrator } from '../modules/users/bootstrap.service.js';
import { UsersCoreModule } from '../modules/users/users-core.module.js';
import { CONFIG, parseConfig } from '../platform/config.js';
import { DatabaseModule } from '../platform/database/database.module.js';
import { openDatabase } from '../platform/database/open-database.js';
import { createLogger, LOGGER, NestLogger } from '../platform/ops/logger.js';

/** Makes a platform administrator in the database of the environment, without the product running. */
export async function createAdministrator(email: string, password?: string): Promise<FirstAdministrator> {
  const config = parseConfig();
  const logger = createLogger('warn', {}, 2);
  const database = await openDatabase(config, logger);
  try {
    @Global()
    @Module({ providers: [{ provide: CONFIG, useValue: config }, { provide: LOGGER, useValue: logger }], exports: [CONFIG, LOGGER] })
    class Settings {}
    class Wiring {}
    const app = await NestFactory.createApplicationContext(
      { module: Wiring, imports: [Settings, DatabaseModule.forUrl(database.url), UsersCoreModule] },
      { logger: new NestLogger(logger), abortOnError: false },
    );
    try {
      return await app.get(BootstrapService).createAdministrator(email, password);
    } finally {
      await app.close();
    }
  } finally {
    await database.close();
  }
}
