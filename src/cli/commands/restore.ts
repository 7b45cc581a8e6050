import { setTimeout as wait } from 'node:timers/promises';
import { Command } from 'commander';
import type { Settings } from '../../platform/backup/settings-snapshot.js';
import { parseConfig, type Config } from '../../platform/config.js';
import { CommandError } from '../failure.js';
import { paint, ProgressBar, writeJson, writeLine } from '../terminal.js';
import { chosenBackup, openingOf, withOpening, type OpeningOptions } from './backup-options.js';

interface RestoreOptions extends OpeningOptions {
  keysFrom?: string;
  json?: boolean;
}

/** `healthvision restore`: fills an empty installation from a backup. */
export function restoreCommand(): Command {
  return withOpening(new Command('restore'))
    .description('fill an empty installation (DATA_DIR, DATABASE_URL, S3_BUCKET) from a backup, and verify its audit trail')
    .option('--keys-from <file>', 'master key that was kept apart with --keys-to; it becomes the one of DATA_DIR')
    .addHelpText('after', '\nAll of it or nothing: what fails leaves an empty installation. Needs the master key of the backup, as MASTER_KEY, in DATA_DIR, or by --keys-from.')
    .action(restore);
}

async function restore({ keysFrom, json, ...options }: RestoreOptions): Promise<void> {
  const [{ offline }, { OfflineAuditModule }, { recorded }, { assertRestorable, restoreBackup }, { openObjectStore }, { installMasterKey, readKeyFile }, { differences, publicSettings }] = await Promise.all([
    import('../offline.js'), import('../offline-audit.module.js'), import('../recorded.js'), import('../../platform/backup/restore-backup.js'), import('../../platform/storage/storage.module.js'),
    import('../../platform/backup/key-file.js'), import('../../platform/backup/settings-snapshot.js'),
  ]);
  const config = parseConfig();
  const started = performance.now();
  const takeKeyAway = keysFrom === undefined ? undefined : await installMasterKey(config, await readKeyFile(keysFrom, await openingOf(options)));
  const bar = new ProgressBar('restore', json);
  const shares = { check: [0, 0.1], blobs: [0.1, 0.6], database: [0.7, 0] } as const;
  const progress = { isFilled: false };
  try {
    const chosen = await chosenBackup(options, config);
    const request = { ...chosen, report: (step: keyof typeof shares, done: number) => { bar.update(shares[step][0] + shares[step][1] * done, step); } };
    await assertRestorable(request);
    const { manifest } = chosen.backup;
    const chains = await offline([OfflineAuditModule], (app) => recorded(app, 'restore', () => verifiedChains(app), () => ({ object: manifest.id })), async (url, ssl) => {
      const { store } = await openObjectStore(config);
      try {
        await restoreBackup(request, store, { url, ssl });
      } finally {
        await store.onApplicationShutdown?.();
      }
      progress.isFilled = true;
    });
    bar.finish();
    const changed = differences(manifest.settings, currentSettings(config, publicSettings));
    const rows = [...manifest.database.tables, ...manifest.keys.tables].reduce((sum, table) => sum + table.rows, 0);
    const seconds = Math.round((performance.now() - started) / 10) / 100;
    if (json) writeJson({ id: manifest.id, at: manifest.at, rows, blobs: manifest.blobs.count, missingBlobs: manifest.blobs.missing, audit: chains, changedSettings: changed, seconds });
    else {
      writeLine(`${paint('green', 'restored')}  ${manifest.id}  ${String(rows)} rows, ${String(manifest.blobs.count)} blobs; ${String(chains.chains)} audit chains, ${String(chains.events)} events; ${seconds.toFixed(1)} s`);
      if (changed.length > 0) writeLine(`Settings that differ from those of the backup (see its manifest): ${changed.join(', ')}`);
    }
    if (chains.broken > 0) throw new CommandError('audit-broken', `${String(chains.broken)} chains of the audit trail are broken: run \`healthvision audit verify\``);
  } catch (error) {
    if (!progress.isFilled) await takeKeyAway?.();
    throw error;
  }
}

async function verifiedChains(app: Parameters<typeof import('../recorded.js').recorded>[0]): Promise<{ chains: number; events: number; broken: number }> {
  const [{ AuditSealer }, { AuditVerifier }] = await Promise.all([import('../../platform/audit/audit-sealer.js'), import('../../platform/audit/audit-verifier.js')]);
  // What was not sealed yet when the snapshot was taken; the sealer's own pass may be at it.
  for (let attempt = 1; attempt <= 3; attempt++) {
    if (await app.get(AuditSealer).seal().then(() => true, () => false)) break;
    await wait(200);
  }
  const verifier = app.get(AuditVerifier);
  const found = { chains: 0, events: 0, broken: 0 };
  for (const id of await verifier.institutions()) {
    const { events, broken } = await verifier.verify('system', id, {});
    found.chains++;
    found.events += events;
    if (broken !== null) found.broken++;
  }
  return found;
}

/** As a manifest has them. */
function currentSettings(config: Config, publicSettings: (config: Config) => Settings): Settings {
  // JSON turns what it has no form for into something else, or nothing.
  return JSON.parse(JSON.stringify(publicSettings(config))) as Settings;
}
