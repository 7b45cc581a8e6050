import { Global, Module, type DynamicModule } from '@nestjs/common';
import { DATABASE_URLS, type DatabaseUrls } from './connection.js';
import { Database } from './database.js';
import { LiveChannel } from './live-channel.js';

@Global()
@Module({})
export class DatabaseModule {
  /** @param urls  of a database that is there and migrated: what `openDatabase` gives */
  static forUrls({ appUrl, systemUrl }: DatabaseUrls): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [{ provide: DATABASE_URLS, useValue: { appUrl, systemUrl } satisfies DatabaseUrls }, Database, LiveChannel],
      exports: [DATABASE_URLS, Database, LiveChannel],
    };
  }
}
