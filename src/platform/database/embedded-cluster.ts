import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../kernel/errors.js';
import { runCommand } from './embedded-account.js';
import type { Account } from './embedded-account.js';
import type { PostgresBinaries } from './embedded-binaries.js';
import { errorCode } from './embedded-presence.js';
import { replaceFile } from './embedded-state.js';

export const SUPERUSER = 'healthvision';

/** The major version of the cluster at a place; null when there is none. */
export async function clusterVersion(location: string): Promise<string | null> {
  try {
    return (await readFile(join(location, 'PG_VERSION'), 'utf8')).trim();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Creates a cluster. It appears at its place whole or not at all.
 *
 * @throws AppError `storage-full`, `database-unavailable` with what initdb said
 */
export async function createCluster(location: string, password: string, binaries: PostgresBinaries, account: Account | undefined): Promise<void> {
  const parent = dirname(location);
  for (const name of await readdir(parent)) {
    // Begun by a process that died; we hold the lock.
    if (name.startsWith('postgres.draft-')) await rm(join(parent, name), { recursive: true, force: true });
  }
  const draft = join(parent, `postgres.draft-${randomBytes(4).toString('hex')}`);
  const passwordFile = join(draft, '..', `postgres.draft-${randomBytes(6).toString('hex')}.password`);
  try {
    await mkdir(draft, { mode: 0o700 });
    await chmod(draft, 0o700);
    if (account) await chown(draft, account.uid, account.gid);
    await replaceFile(passwordFile, `${password}\n`, account);
    const { status, output } = await runCommand(
      binaries.initdb,
      [
        `--pgdata=${draft}`,
        `--username=${SUPERUSER}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--no-instructions',
      ],
      account,
    );
    if (status !== 0) throw postgresFailure('PostgreSQL could not create its database files', output);
    await rename(draft, location);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** Writes our settings; they replace those of an earlier version of the product. */
export async function configureCluster(location: string, port: number, account: Account | undefined): Promise<void> {
  const settings = [
    '# Written by HealthVision at every start of the server. Settings in postgresql.conf after the include win.',
    `listen_addresses = '127.0.0.1'`,
    `port = ${String(port)}`,
    `unix_socket_directories = ''`,
    'max_connections = 200',
    'shared_buffers = 128MB',
    'effective_cache_size = 1GB',
    'work_mem = 8MB',
    'maintenance_work_mem = 128MB',
    '# Plans made while a table is nearly empty serve badly when it has grown, and are kept until it is analysed: soon, in a young database.',
    'autovacuum_naptime = 5s',
    'max_wal_size = 2GB',
    'wal_compression = on',
    'wal_init_zero = off',
    'fsync = on',
    'synchronous_commit = on',
    'full_page_writes = on',
    `password_encryption = 'scram-sha-256'`,
    `timezone = 'UTC'`,
    `log_timezone = 'UTC'`,
    '# Seven files, one a weekday, each begun anew after a week.',
    'logging_collector = on',
    `log_directory = 'log'`,
    `log_filename = 'postgresql-%a.log'`,
    'log_truncate_on_rotation = on',
    'log_rotation_age = 1d',
    'log_rotation_size = 0',
    '# Errors of statements quote values, and values are patients: the client gets them, the log does not.',
    'log_min_messages = log',
    'log_min_error_statement = panic',
    'log_error_verbosity = terse',
    'log_parameter_max_length = 0',
    '',
  ];
  await replaceFile(join(location, 'healthvision.conf'), settings.join('\n'), account);
  const main = join(location, 'postgresql.conf');
  const text = await readFile(main, 'utf8');
  if (!text.includes(`include = 'healthvision.conf'`)) await replaceFile(main, `${text}\ninclude = 'healthvision.conf'\n`, account);
}

/** Sets the superuser's password on a stopped cluster whose state file was lost. */
export async function resetPassword(location: string, password: string, binaries: PostgresBinaries, account: Account | undefined): Promise<void> {
  const sql = `ALTER ROLE ${SUPERUSER} PASSWORD '${password}'\n`;
  const { status, output } = await runCommand(binaries.postgres, ['--single', '-D', location, 'postgres'], account, sql);
  // Single-user mode exits 0 after a failed statement.
  if (status !== 0 || /\b(ERROR|FATAL|PANIC):/.test(output)) throw postgresFailure('PostgreSQL could not set a new password', output.replaceAll(password, '…'));
}

/** An error with PostgreSQL's own last words. */
export function postgresFailure(what: string, output: string): AppError {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-8);
  const detail = lines.length === 0 ? `${what}.` : `${what}: ${lines.join(' | ')}`;
  return new AppError(/No space left on device|Disk quota exceeded/i.test(output) ? 'storage-full' : 'database-unavailable', { detail });
}
