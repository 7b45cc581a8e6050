import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { BackupOutcome } from '../../platform/backup/take-backup.js';
import type { Sealing } from '../../platform/backup/backup-seal.js';
import { parseConfig, type Config } from '../../platform/config.js';
import type { MasterKey } from '../../platform/crypto/master-key.js';
import { CommandError } from '../failure.js';
import { paint, ProgressBar, table, writeJson, writeLine } from '../terminal.js';
import { bytesText, chosenBackup, folderOf, passphraseOf, withOpening, type OpeningOptions } from './backup-options.js';

interface TakeOptions {
  to?: string;
  recipient?: string[];
  passphraseFile?: string;
  keysTo?: string;
  keepDays: number;
  json?: boolean;
}

/** `healthvision backup`: takes one; `backup verify` and `backup list`. `restore` is a command of its own. */
export function backupCommand(): Command {
  return new Command('backup')
    .description('back up database, blobs and settings into a folder, beside a working installation or without one')
    // So that the options of `verify` and `list` are theirs.
    .enablePositionalOptions()
    .option('--to <folder>', 'folder of the backups; it grows by what is new')
    .option('--recipient <recipient...>', 'seal the database for these age recipients (age1…)')
    .option('--passphrase-file <file>', 'seal it with the passphrase on the first line of a file')
    .option('--keys-to <file>', 'also write the master key, sealed the same way, to a file outside of that folder')
    .option('--keep-days <n>', 'remove older backups; of those older than two days the last of each day stays', days, 30)
    .option('--json', 'answer in JSON on standard output')
    .addHelpText('after', [
      '', 'Without --recipient and --passphrase-file whoever has MASTER_KEY can open it. Blobs are copied as they lie, encrypted under keys that MASTER_KEY wraps;', 'MASTER_KEY itself is never among them: keep it elsewhere. See docs/operations/backup.md.',
    ].join('\n'))
    .action(take)
    .addCommand(withOpening(new Command('verify'))
      .description('restore a backup into a scratch database, compare every table with the snapshot, and read every blob; exit status 1 when something is wrong')
      .addHelpText('after', '\nNeeds no installation, and no master key when --identity or --passphrase-file opens the backup.')
      .action(verify))
    .addCommand(new Command('list').description('what backups a folder holds').option('--from <folder>', 'folder of the backups').action(list));
}

async function take(options: TakeOptions): Promise<void> {
  const path = folderOf(options.to, '--to');
  const [{ offline }, { OfflineAuditModule }, { recorded }, { StorageModule }, { ObjectStore }, { MasterKey: Key }, { KeyVault }, { BackupFolder }, { takeBackup }, { writeKeyFile }, { tlsOf }] = await Promise.all([
    import('../offline.js'), import('../offline-audit.module.js'), import('../recorded.js'), import('../../platform/storage/storage.module.js'), import('../../platform/storage/object-store.js'), import('../../platform/crypto/master-key.js'), import('../../platform/crypto/key-vault.js'),
    import('../../platform/backup/backup-folder.js'), import('../../platform/backup/take-backup.js'), import('../../platform/backup/key-file.js'), import('../../platform/database/connection.js'),
  ]);
  const config = parseConfig();
  await assertInstallation(config);
  const started = performance.now();
  const bar = new ProgressBar('backup', options.json);
  const outcome = await offline([StorageModule, OfflineAuditModule], (app, { url }) => recorded(app, 'backup', async () => {
    const masterKey = app.get(Key);
    await app.get(KeyVault).assertMasterKey();
    const sealing = await sealingOf(options, masterKey);
    if (options.keysTo !== undefined) await writeKeyFile(options.keysTo, config, sealing, path);
    return takeBackup({
      config, folder: new BackupFolder(path), sealing, keepDays: options.keepDays, ownerUrl: url, ssl: tlsOf(config), store: app.get(ObjectStore), masterKey,
      report: (step, done) => { bar.update(step === 'database' ? done / 2 : step === 'blobs' ? 0.5 : 1, step === 'blobs' && done > 0 ? `${String(done)} blobs` : step); },
    });
  }, ({ manifest }) => ({ object: manifest.id, details: { blobs: manifest.blobs.count, copied: manifest.blobs.copied, missing: manifest.blobs.missing } })));
  const seconds = Math.round((performance.now() - started) / 10) / 100;
  bar.finish();
  if (options.json) writeJson({ ...summaryOf(outcome), seconds });
  else writeOutcome(outcome, seconds);
}

/** A DATA_DIR that is misspelt, or a scheduled job without MASTER_KEY, is not to make an empty installation and call that a backup. */
async function assertInstallation(config: Config): Promise<void> {
  const { masterKeysAtHand } = await import('../../platform/backup/key-file.js');
  if (config.DATABASE_URL === undefined && !existsSync(join(config.dataDir, 'postgres.json'))) throw new CommandError('nothing-to-back-up', `There is no installation in ${config.dataDir} (DATA_DIR)`);
  if ((await masterKeysAtHand(config)).length === 0) throw new CommandError('backup-key-missing', 'The installation’s master key is not at hand: set MASTER_KEY, or DATA_DIR to the folder that has it');
}

async function sealingOf({ recipient, passphraseFile }: TakeOptions, masterKey: MasterKey): Promise<Sealing> {
  if (recipient !== undefined && passphraseFile !== undefined) throw new CommandError('usage', 'Give --recipient or --passphrase-file');
  if (recipient !== undefined) return { recipients: recipient };
  return passphraseFile === undefined ? { masterKey } : { passphrase: await passphraseOf(passphraseFile) };
}

function summaryOf({ manifest, pruned }: BackupOutcome): object {
  const { id, at, masterKeyId, sealedFor, database, blobs } = manifest;
  const { count, totalBytes, copied, copiedBytes, missing } = blobs;
  return { id, at, masterKeyId, sealedFor, database: { tables: database.tables.length + manifest.keys.tables.length, rows: rowsOf(manifest), sizeBytes: database.sizeBytes }, blobs: { count, totalBytes, copied, copiedBytes, missing }, pruned };
}

function writeOutcome({ manifest, pruned }: BackupOutcome, seconds: number): void {
  const { blobs, database } = manifest;
  writeLine(`${paint('green', manifest.id)}  ${String(rowsOf(manifest))} rows (${bytesText(database.sizeBytes)}), ${String(blobs.count)} blobs (${bytesText(blobs.totalBytes)}), of which ${String(blobs.copied)} new (${bytesText(blobs.copiedBytes)}); ${seconds.toFixed(1)} s`);
  if (pruned.backups > 0) writeLine(`Removed ${String(pruned.backups)} older backups and ${String(pruned.objects)} objects that no other has.`);
  if (blobs.missing > 0) process.stderr.write(`${paint('yellow', 'warning', process.stderr)}: ${String(blobs.missing)} blobs that rows name are missing from the store\n`);
}

function rowsOf({ database, keys }: BackupOutcome['manifest']): number {
  return [...database.tables, ...keys.tables].reduce((sum, { rows }) => sum + rows, 0);
}

async function verify({ json, ...options }: OpeningOptions & { json?: boolean }): Promise<void> {
  const { verifyBackup } = await import('../../platform/backup/verify-backup.js');
  const chosen = await chosenBackup(options, configWithoutMasterKey());
  const bar = new ProgressBar('verify', json);
  const shares = { blobs: [0, 0.5], database: [0.5, 0], compare: [0.8, 0.2] } as const;
  const verification = await verifyBackup({ ...chosen, report: (step, done) => { bar.update(shares[step][0] + shares[step][1] * done, step); } });
  bar.finish();
  const { id, intact, faults, tables, rows, blobs, authentic, missingBlobs } = verification;
  if (json) writeJson(verification);
  else {
    writeLine(`${intact ? paint('green', 'intact') : paint('red', 'DAMAGED')}  ${id}  ${String(tables)} tables, ${String(rows)} rows, ${String(blobs)} blobs`);
    for (const fault of faults) writeLine(`  ${fault}`);
    if (authentic === null) writeLine('  Who wrote it was not checked: the master key is not at hand.');
    if (missingBlobs > 0) writeLine(`  ${String(missingBlobs)} blobs were missing from the installation already.`);
  }
  if (!intact) process.exitCode = 1;
}

/** A backup may be verified where nothing else is configured. */
function configWithoutMasterKey(): Config {
  const { NODE_ENV: _mode, ...variables } = process.env;
  return parseConfig(variables);
}

async function list({ from, json }: { from?: string; json?: boolean }): Promise<void> {
  const { BackupFolder } = await import('../../platform/backup/backup-folder.js');
  const items = (await new BackupFolder(folderOf(from, '--from')).list()).map((found) => 'manifest' in found
    ? { id: found.id, at: found.manifest.at, version: found.manifest.productVersion, sealedFor: found.manifest.sealedFor, masterKeyId: found.manifest.masterKeyId, rows: rowsOf(found.manifest), blobs: found.manifest.blobs.count, newBytes: found.manifest.blobs.copiedBytes + found.manifest.database.sizeBytes, fault: null }
    : { id: found.id, at: null, version: null, sealedFor: null, masterKeyId: null, rows: null, blobs: null, newBytes: null, fault: found.fault.message });
  if (json) writeJson({ items });
  else if (items.length === 0) writeLine('There is no backup.');
  else {
    writeLine(table(items, [
      { title: 'Backup', value: ({ id }) => id }, { title: 'Rows', value: ({ rows }) => String(rows ?? ''), align: 'right' }, { title: 'Blobs', value: ({ blobs }) => String(blobs ?? ''), align: 'right' },
      { title: 'New', value: ({ newBytes }) => (newBytes === null ? '' : bytesText(newBytes)), align: 'right' }, { title: 'Opened by', value: ({ sealedFor }) => openedBy(sealedFor) },
      { title: 'Fault', value: ({ fault }) => fault ?? '', style: () => 'red' },
    ]));
  }
}

function openedBy(sealedFor: string | string[] | null): string {
  if (Array.isArray(sealedFor)) return `${sealedFor[0]?.slice(0, 16) ?? ''}…${sealedFor.length > 1 ? ` and ${String(sealedFor.length - 1)} more` : ''}`;
  return sealedFor === 'installation' ? 'MASTER_KEY' : (sealedFor ?? '');
}

function days(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 36_500) throw new InvalidArgumentError('It must be a number of days, at least 1.');
  return value;
}
