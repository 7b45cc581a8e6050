import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command } from 'commander';
import type { BackupFolder, KnownBackup } from '../../platform/backup/backup-folder.js';
import type { Opening } from '../../platform/backup/backup-seal.js';
import type { Config } from '../../platform/config.js';
import type { MasterKey } from '../../platform/crypto/master-key.js';
import { CommandError } from '../failure.js';

export interface OpeningOptions {
  from?: string;
  backup?: string;
  identity?: string[];
  passphraseFile?: string;
}

/** The options that name a backup and what opens it. */
export function withOpening(command: Command): Command {
  return command
    .option('--from <folder>', 'folder of the backups')
    .option('--backup <id>', 'which one (default: the newest)')
    .option('--identity <file...>', 'file with age identities (AGE-SECRET-KEY-1…), when it was sealed for recipients')
    .option('--passphrase-file <file>', 'file with the passphrase, when it was sealed with one');
}

export interface ChosenBackup {
  folder: BackupFolder;
  backup: KnownBackup;
  opening: Opening;
  masterKeys: MasterKey[];
}

/** @param config  its master key opens what was sealed for the installation */
export async function chosenBackup({ from, backup, ...options }: OpeningOptions, config: Config): Promise<ChosenBackup> {
  const [{ BackupFolder }, { masterKeysAtHand }] = await Promise.all([import('../../platform/backup/backup-folder.js'), import('../../platform/backup/key-file.js')]);
  const folder = new BackupFolder(folderOf(from, '--from'));
  const masterKeys = await masterKeysAtHand(config);
  return { folder, backup: await folder.find(backup), opening: { ...(await openingOf(options)), masterKeys }, masterKeys };
}

/** What the options say, without the master key. */
export async function openingOf({ identity = [], passphraseFile }: Pick<OpeningOptions, 'identity' | 'passphraseFile'>): Promise<Opening> {
  const identities: string[] = [];
  for (const path of identity) identities.push(...(await readFile(path, 'utf8')).split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#')));
  return { identities, ...(passphraseFile !== undefined && { passphrase: await passphraseOf(passphraseFile) }) };
}

/** The first line of a file. */
export async function passphraseOf(path: string): Promise<string> {
  const [passphrase = ''] = (await readFile(path, 'utf8')).split(/\r?\n/);
  if (passphrase.length < 10) throw new CommandError('usage', 'The passphrase must have at least 10 characters on the first line of its file');
  return passphrase;
}

export function folderOf(path: string | undefined, option: string): string {
  if (path === undefined || path === '') throw new CommandError('usage', `${option} <folder> is needed`);
  return resolve(path);
}

/** 1536 → 1.5 KiB. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power] ?? ''}`;
}
