#!/usr/bin/env node
// `npm test` and `npm run verify`: build, run the suites, say once more what failed, end with "N passed, N failed".
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from '../../src/cli/build.mjs';

const SUITES = { test: ['unit', 'integration'], verify: ['long', 'e2e', 'chaos', 'alone'] };

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const [name = 'test', ...rest] = process.argv.slice(2);
const projects = SUITES[name];
if (!projects) {
  process.stderr.write(`unknown suite "${name}"; there are ${Object.keys(SUITES).join(', ')}\n`);
  process.exit(1);
}

buildIfStale();
const folder = mkdtempSync(join(tmpdir(), 'healthvision-report-'));
const report = join(folder, 'report.json');
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const run = spawnSync(
  process.execPath,
  [vitest, 'run', ...projects.flatMap((project) => ['--project', project]), '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, '--passWithNoTests', ...rest],
  { cwd: root, stdio: 'inherit', env: { ...process.env, NODE_ENV: 'test' } },
);
let failed = run.status === 0 ? 0 : 1;
let line = `0 passed, ${failed} failed`;
try {
  const { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  process.stdout.write(failuresOf(testResults).map((failure) => `failed: ${failure}\n`).join(''));
  // A file that cannot even be loaded has no failed test of its own.
  failed = Math.max(numFailedTests, run.status === 0 ? 0 : 1, numFailedTests === 0 ? numFailedTestSuites : 0);
  line = `${numPassedTests} passed, ${failed} failed${numPendingTests > 0 ? `, ${numPendingTests} skipped` : ''}`;
} catch {
  process.stderr.write('the test runner left no report\n');
}
rmSync(folder, { recursive: true, force: true });
process.stdout.write(`\n${line}\n`);
process.exit(failed > 0 ? 1 : 0);

/** A line each: file, test, and the first line of what went wrong. */
function failuresOf(files) {
  return files.filter(({ status }) => status === 'failed').flatMap(({ name, message, assertionResults }) => {
    const broken = assertionResults.filter(({ status }) => status === 'failed').map(({ fullName, failureMessages: [first = ''] }) => [fullName, first]);
    return (broken.length > 0 ? broken : [['could not be run', message]]).map(([test, why]) => `${relative(root, name)} > ${test}: ${why.split('\n')[0]}`);
  });
}
