import { spawn } from 'node:child_process';
import { chmod, mkdir, stat } from 'node:fs/promises';
import { AppError } from '../../kernel/errors.js';

export type EmbeddedLog = (level: 'info' | 'warn' | 'error', message: string, fields?: object) => void;

/** The account that PostgreSQL runs under; `undefined` means the one we run under. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** Where root puts what PostgreSQL's account cannot reach elsewhere. */
export const SYSTEM_DIRECTORY = '/var/lib/healthvision';

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * PostgreSQL refuses to run as root. As root: the owner of DATA_DIR when that is somebody else (who may run HealthVision there
 * as well), else the account `postgres`, which is created when missing, else `nobody`.
 *
 * @throws AppError `configuration-invalid` when no account can be had
 */
export async function unprivilegedAccount(dataDir: string, log: EmbeddedLog): Promise<Account | undefined> {
  if (!isRoot()) return undefined;
  const owner = await ownerOf(dataDir);
  if (owner !== undefined) return owner;
  const existing = await lookUp('postgres');
  if (existing !== undefined) return existing;
  const ways: [string, string[]][] = [
    ['useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']],
    ['adduser', ['-S', '-D', '-H', 'postgres']],
  ];
  for (const [command, args] of ways) {
    const { status } = await runCommand(command, args);
    const created = await lookUp('postgres');
    if (created !== undefined) {
      if (status === 0) log('info', 'Created the system account "postgres", because PostgreSQL does not run as root.');
      return created;
    }
  }
  const nobody = await lookUp('nobody');
  if (nobody !== undefined) return nobody;
  throw new AppError('configuration-invalid', {
    detail: 'PostgreSQL does not run as root and no account for it can be found or created: start HealthVision as an ordinary user or set DATABASE_URL.',
  });
}

/** The account that owns a file; `undefined` when it is our own. */
export async function ownerOf(path: string): Promise<Account | undefined> {
  const { uid, gid } = await stat(path);
  if (uid === process.getuid?.() || process.getuid === undefined) return undefined;
  return { name: `uid ${String(uid)}`, uid, gid };
}

/** True when the account may pass through the folder and everything above it. */
export async function canEnter(account: Account | undefined, directory: string): Promise<boolean> {
  // Asking the kernel is right for ACLs and security modules too, where reading mode bits is not.
  const { status } = await runCommand('/bin/sh', ['-c', 'cd "$1"', 'sh', directory], account);
  return status === 0;
}

/** Makes a folder that anybody may pass through and only we may list; leaves an existing one as it is. */
export async function makePassage(directory: string): Promise<void> {
  const created = await mkdir(directory, { recursive: true });
  // Separately, because mkdir is subject to the umask.
  if (created !== undefined) await chmod(directory, 0o711);
}

/**
 * Runs a command to its end under an account.
 *
 * @returns the exit status (null when a signal or a failed start ended it) and the last 4,000 characters of its output
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  account?: Account,
  input = '',
): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: '/',
      env: plainEnvironment(),
      // A session of its own: Ctrl-C in the terminal is for us to handle.
      detached: true,
      stdio: 'pipe',
      ...(account && { uid: account.uid, gid: account.gid }),
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-4_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    // A command that ends before it has read its input; the exit status tells.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => {
      resolve({ status: null, output: error.message });
    });
    child.on('close', (status) => {
      resolve({ status, output: output.trim() });
    });
    child.stdin.end(input);
  });
}

/** PostgreSQL gets none of our environment: it may hold secrets, and PG* variables would change what it does. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' };
}

async function lookUp(name: string): Promise<Account | undefined> {
  const [uid, gid] = await Promise.all([runCommand('id', ['-u', name]), runCommand('id', ['-g', name])]);
  if (uid.status !== 0 || gid.status !== 0) return undefined;
  const account = { name, uid: Number(uid.output), gid: Number(gid.output) };
  return account.uid > 0 ? account : undefined;
}
