#!/usr/bin/env node
// The committed API document is the one that the code makes, and Spectral's `oas` rules find nothing in it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'healthvision-openapi-'));
const made = join(folder, 'openapi.json');
const committed = join(root, 'docs', 'api', 'openapi.json');
let status = 0;
try {
  run([join(root, 'src', 'cli', 'launch.mjs'), 'openapi', '--out', made]);
  if (readFileSync(made, 'utf8') !== readFileSync(committed, 'utf8')) {
    process.stderr.write('docs/api/openapi.json is not what the code makes: run `npm run openapi`\n');
    status = 1;
  }
  run([join(root, 'node_modules', '@stoplight', 'spectral-cli', 'dist', 'index.js'), 'lint', made, '--ruleset', join(root, '.spectral.yaml'), '--fail-severity', 'warn']);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  status = 1;
}
rmSync(folder, { recursive: true, force: true });
process.exit(status);

function run(args) {
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) throw new Error(`${args[0]} failed with status ${result.status}`);
}
