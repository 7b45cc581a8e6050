import { Module } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics } from '../ops/metrics.js';
import { soon } from '../ops/soon.js';
import { BackupAgeStore } from './backup-age.store.js';

/** Beyond this a backup is none. */
const OLDEST_MS = 60 * 24 * 3_600_000;
/** However often it is scraped. */
const FRESH_MS = 30_000;
const BACKUP_AGE = Symbol('BackupAge');

/** How old the newest backup is, for alerts: the RPO as it stands. */
@Module({
  providers: [
    BackupAgeStore,
    {
      provide: BACKUP_AGE,
      inject: [BackupAgeStore, Metrics],
      useFactory: (store: BackupAgeStore, metrics: Metrics) => {
        let known: { last: Date | undefined; until: number } | undefined;
        return new Gauge({
          name: 'healthvision_backup_age_seconds', help: 'Age of the newest backup that ended well; NaN when there was none in 60 days', registers: [metrics.registry],
          async collect() {
            if (!known || known.until < Date.now()) known = { last: await soon(store.lastSuccess(new Date(Date.now() - OLDEST_MS))), until: Date.now() + FRESH_MS };
            this.set(known.last ? (Date.now() - known.last.getTime()) / 1000 : NaN);
          },
        });
      },
    },
  ],
})
export class BackupAgeModule {}
