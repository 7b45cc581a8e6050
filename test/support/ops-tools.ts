import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Where .ci/run puts what PyPI has of them. */
const FOLDER = '/opt/ops-tools/bin';

/** A linter's or renderer's path; undefined, with a loud line, when it is not installed. */
export function opsTool(name: string, what: string): string | undefined {
  const path = `${FOLDER}/${name}`;
  if (existsSync(path)) return path;
  if (spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) return name;
  console.warn(`SKIPPED: ${name} is not installed; ${what}`);
  return undefined;
}
