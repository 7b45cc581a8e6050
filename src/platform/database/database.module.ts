import { Global, Module, type DynamicModule, type FactoryProvider } from '@nestjs/common';
import { Metrics } from '../ops/metrics.js';
import { DATABASE_URLS, type DatabaseUrls } from './connection.js';
import { Database } from './database.js';
import { LiveChannel } from './live-channel.js';

/** On the command line nobody looks at metrics. */
const shownPools: FactoryProvider = {
  provide: Symbol('ShownPools'),
  inject: [Database, { token: Metrics, optional: true }],
  useFactory: ({ pools }: Database, metrics?: Metrics) => {
    for (const [name, pool] of Object.entries(pools)) metrics?.databasePools.watch(name, pool);
    return pools;
  },
};

@Global()
@Module({})
export class DatabaseModule {
  /** @param urls  of a database that is there and migrated: what `openDatabase` gives */
  static forUrls({ appUrl, systemUrl }: DatabaseUrls): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [{ provide: DATABASE_URLS, useValue: { appUrl, systemUrl } satisfies DatabaseUrls }, Database, LiveChannel, shownPools],
      exports: [DATABASE_URLS, Database, LiveChannel],
    };
  }
}
