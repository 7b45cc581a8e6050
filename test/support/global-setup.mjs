import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildIfStale } from '../../src/cli/build.mjs';

/** Worker threads and processes of the tests run compiled code: it is made before the first test. */
export default function setup() {
  buildIfStale();
  // Vitest sets every project up; they share the folder of data-directory.ts.
  if (process.env.HEALTHVISION_TEST_TEMPLATE !== undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'healthvision-template-'));
  chmodSync(folder, 0o711);
  process.env.HEALTHVISION_TEST_TEMPLATE = folder;
  return () => { rmSync(folder, { recursive: true, force: true }); };
}
