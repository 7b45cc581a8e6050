#!/usr/bin/env node
// `npm run fuzz:dicom`: damaged files into the running product, as many as a night holds. `npm run verify` sends 2,000.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const option = (name, otherwise) => {
  const index = process.argv.indexOf(name);
  const value = index > 0 ? process.argv[index + 1] : otherwise;
  if (!/^\d+$/.test(value ?? '')) {
    process.stderr.write(`${name} takes a whole number\n`);
    process.exit(1);
  }
  return value;
};

if (process.argv.includes('--help')) {
  console.log('usage: npm run fuzz:dicom -- [--files N] [--seed N]   (default 100000 files of seed 1; what fails is kept in test-results/fuzz)');
  process.exit(0);
}
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { status } = spawnSync(process.execPath, [join(root, 'test', 'support', 'run.mjs'), 'verify', 'test/e2e/dicom-fuzz.spec.ts'], {
  cwd: root, stdio: 'inherit', env: { ...process.env, FUZZ_FILES: option('--files', '100000'), FUZZ_SEED: option('--seed', '1') },
});
process.exit(status ?? 1);
