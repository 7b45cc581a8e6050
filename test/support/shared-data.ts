import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ROOT } from './product.js';

/** Public images, see docs/test-data.md; never part of the repository. */
export const DATA = resolve(ROOT, process.env.HEALTHVISION_TEST_DATA ?? '../shared/data');
/** Published weights for fidelity tests; never part of the repository. */
export const MODELS = resolve(ROOT, process.env.HEALTHVISION_TEST_MODELS ?? '../shared/models');

/** The path, or undefined with a loud line: the test is skipped then. */
export function sharedFile(base: string, ...parts: string[]): string | undefined {
  const path = join(base, ...parts);
  if (existsSync(path)) return path;
  console.warn(`SKIPPED: ${path} is not here; set HEALTHVISION_TEST_DATA / HEALTHVISION_TEST_MODELS`);
  return undefined;
}
