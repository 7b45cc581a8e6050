import { chown, mkdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import type { Config } from '../config.js';
import { loadMasterKey, MasterKey } from '../crypto/master-key.js';
import { isMissing } from '../storage/storage-error.js';
import { opener, sealer, type Opening, type Sealing } from './backup-seal.js';

const key = z.string().refine((text) => Buffer.from(text, 'base64').length === 32);
const keyFile = z.strictObject({ masterKeyId: z.string(), masterKey: key, madeAt: z.string() });

/**
 * Writes the master key, sealed in the age format, to a place of its own: who finds the backups finds no key beside them. All of these throw as the file system does.
 *
 * @throws AppError `configuration-invalid` when it would be sealed for nobody else, or lie in the folder of the backups
 */
export async function writeKeyFile(path: string, config: Config, sealing: Sealing, backupFolder: string): Promise<void> {
  if ('masterKey' in sealing) throw new AppError('configuration-invalid', { detail: 'The master key cannot be sealed with itself: --keys-to needs --recipient or --passphrase-file.' });
  const folder = await realpath(dirname(resolve(path)));
  const backups = await realpath(backupFolder).catch(() => resolve(backupFolder));
  if (`${folder}${sep}`.startsWith(`${backups}${sep}`)) throw new AppError('configuration-invalid', { detail: '--keys-to must not lie in the folder of the backups.' });
  const masterKey = loadMasterKey(config).toString('base64');
  const text = JSON.stringify({ masterKeyId: new MasterKey({ ...config, MASTER_KEY: masterKey }).id, masterKey, madeAt: new Date().toISOString() });
  const seal = await sealer(sealing);
  const sealed: Uint8Array[] = [];
  for await (const chunk of seal(Readable.from([Buffer.from(text)]))) sealed.push(chunk);
  const target = join(folder, basename(path));
  await writeFile(target, Buffer.concat(sealed), { mode: 0o600, flush: true });
}

/** @returns the master key in base64 @throws AppError `backup-identity-wrong`, `backup-corrupt` */
export async function readKeyFile(path: string, opening: Opening): Promise<string> {
  const sealed = await readFile(path);
  const open = await opener(opening);
  const chunks: Uint8Array[] = [];
  for await (const chunk of open(Readable.from([sealed]))) chunks.push(chunk);
  const parsed = keyFile.safeParse(valueOf(Buffer.concat(chunks)));
  if (!parsed.success) throw new AppError('backup-corrupt', { detail: 'The key file does not hold a master key.' });
  return parsed.data.masterKey;
}

function valueOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Makes the key that was kept apart the one of DATA_DIR.
 *
 * @returns what takes it away again
 * @throws AppError `restore-target-not-empty` when DATA_DIR, or MASTER_KEY, has another
 */
export async function installMasterKey(config: Config, masterKey: string): Promise<() => Promise<void>> {
  if (config.MASTER_KEY === masterKey) return () => Promise.resolve();
  if (config.MASTER_KEY !== undefined) throw new AppError('restore-target-not-empty', { detail: 'MASTER_KEY is another than the one in the key file: give one of the two.' });
  const file = join(config.dataDir, 'master.key');
  const existing = await readFile(file, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (existing?.trim() === masterKey) return () => Promise.resolve();
  if (existing !== undefined) throw new AppError('restore-target-not-empty', { detail: `${file} holds another master key.` });
  await mkdir(config.dataDir, { recursive: true });
  await writeFile(file, `${masterKey}\n`, { mode: 0o600, flag: 'wx', flush: true });
  // So that the owner of DATA_DIR can run HealthVision there after root did.
  const owner = await stat(config.dataDir);
  if (process.getuid?.() === 0) await chown(file, owner.uid, owner.gid);
  return () => rm(file, { force: true });
}

/** The master keys of the configuration, without making one. */
export async function masterKeysAtHand(config: Config): Promise<MasterKey[]> {
  const inFile = await readFile(join(config.dataDir, 'master.key')).then(() => true, () => false);
  const current = config.MASTER_KEY !== undefined || (!config.isProduction && inFile) ? [new MasterKey(config)] : [];
  const previous = config.MASTER_KEY_PREVIOUS === undefined ? [] : [new MasterKey({ ...config, MASTER_KEY: config.MASTER_KEY_PREVIOUS })];
  return [...current, ...previous];
}
