import { Global, Module, type DynamicModule } from '@nestjs/common';
import { DATABASE_URL } from './connection.js';
import { Database } from './database.js';
import { LiveChannel } from './live-channel.js';

@Global()
@Module({})
export class DatabaseModule {
  /** @param url  of a database that is there and migrated: see `openDatabase` */
  static forUrl(url: string): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [{ provide: DATABASE_URL, useValue: url }, Database, LiveChannel],
      exports: [DATABASE_URL, Database, LiveChannel],
    };
  }
}
