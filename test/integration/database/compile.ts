import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transform } from '@swc/core';
import type { Options } from '@swc/core';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** Compiles what child processes of these tests import into a folder inside the repository, where packages resolve. */
export async function compileDatabase(): Promise<{ folder: string; remove(): Promise<void> }> {
  const cache = join(ROOT, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'database-test-'));
  // Children of other accounts read it.
  await chmod(folder, 0o755);
  // The compiler's own settings, which swc reads as options.
  const settings = JSON.parse(await readFile(join(ROOT, '.swcrc'), 'utf8')) as Options;
  const database = await readdir(join(ROOT, 'src', 'platform', 'database'));
  const files = ['kernel/errors.ts', ...database.filter((name) => /^(embedded|migrations)/.test(name)).map((name) => `platform/database/${name}`)];
  for (const file of files) {
    if (file.endsWith('.spec.ts')) continue;
    const { code } = await transform(await readFile(join(ROOT, 'src', file), 'utf8'), { ...settings, swcrc: false, sourceMaps: false, filename: file });
    const target = join(folder, 'src', file.replace(/\.ts$/, '.js'));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, code);
  }
  await writeFile(join(folder, 'package.json'), '{"type":"module"}\n');
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
