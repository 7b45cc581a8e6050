import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, temporaryDirectory } from './product.js';

/** A build of the product that may be another than the tests' own. */
export interface Version {
  folder: string;
  /** What `npm start` runs. */
  main: string;
  /** The `healthvision` command. */
  command: string;
}

const SOURCES = ['src', 'prisma', 'prisma.config.ts', 'package.json', '.swcrc', 'tsconfig.json'];
const GIT = ['-C', ROOT, '-c', 'safe.directory=*'];

/** Builds an earlier commit in a folder of its own, with today's packages; undefined, with a loud line, where the clone does not have it. */
export function earlierVersion(commit: string): Version | undefined {
  if (spawnSync('git', [...GIT, 'cat-file', '-e', `${commit}^{commit}`]).status !== 0) {
    console.warn(`SKIPPED: this clone has no commit ${commit} (a shallow one? git fetch --unshallow); no upgrade from it is rehearsed`);
    return undefined;
  }
  const version = inFolder();
  const archive = join(version.folder, 'sources.tar');
  execFileSync('git', [...GIT, 'archive', '--output', archive, commit, ...SOURCES]);
  execFileSync('tar', ['-xf', archive, '-C', version.folder]);
  const built = spawnSync(process.execPath, [join(version.folder, 'src', 'cli', 'build.mjs')], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`${commit} cannot be built:\n${built.stdout}${built.stderr}`);
  return version;
}

/** This build with more migrations. @param migrations  SQL by the name of the folder */
export function versionWith(migrations: Readonly<Record<string, string>>): Version {
  const version = inFolder();
  cpSync(join(ROOT, 'dist'), join(version.folder, 'dist'), { recursive: true });
  cpSync(join(ROOT, 'prisma'), join(version.folder, 'prisma'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(version.folder, 'package.json'));
  symlinkSync(join(ROOT, 'src'), join(version.folder, 'src'));
  for (const [name, sql] of Object.entries(migrations)) {
    mkdirSync(join(version.folder, 'prisma', 'migrations', name));
    writeFileSync(join(version.folder, 'prisma', 'migrations', name, 'migration.sql'), sql);
  }
  return version;
}

function inFolder(): Version {
  const folder = join(temporaryDirectory(), 'version');
  mkdirSync(folder);
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return { folder, main: join(folder, 'dist', 'src', 'main.js'), command: join(folder, 'dist', 'src', 'cli', 'healthvision.js') };
}
