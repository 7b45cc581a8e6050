import { Global, Module, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CONFIG, parseConfig } from '../platform/config.js';
import { DatabaseModule } from '../platform/database/database.module.js';
import { openDatabase, type BeforeMigrations, type OpenedDatabase } from '../platform/database/open-database.js';
import { createLogger, LOGGER, NestLogger } from '../platform/ops/logger.js';

/** Runs `work` with some modules on the database of the environment, whether the product runs or not. @param before  what happens to the database first */
export async function offline<T>(modules: Type[], work: (app: INestApplicationContext, database: OpenedDatabase) => Promise<T>, before?: BeforeMigrations): Promise<T> {
  const config = parseConfig();
  const logger = createLogger('warn', {}, 2);
  const database = await openDatabase(config, logger, undefined, before);
  try {
    @Global()
    @Module({ providers: [{ provide: CONFIG, useValue: config }, { provide: LOGGER, useValue: logger }], exports: [CONFIG, LOGGER] })
    class Settings {}
    class Wiring {}
    const app = await NestFactory.createApplicationContext(
      { module: Wiring, imports: [Settings, DatabaseModule.forUrls(database), ...modules] },
      { logger: new NestLogger(logger), abortOnError: false },
    );
    try {
      return await work(app, database);
    } finally {
      await app.close();
    }
  } finally {
    await database.close();
  }
}
