#!/usr/bin/env node
// Generates the Prisma client and compiles src/ to dist/. Plain JavaScript, because it runs before anything is compiled:
// `npm ci` runs no install scripts, so the first command of a fresh clone builds.
import { spawnSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const stampFile = join(root, 'dist', '.build-stamp');
const schemaFile = join(root, 'prisma', 'schema.prisma');
const generatedDir = join(root, 'src', 'generated', 'prisma');
const generatedStamp = join(generatedDir, '.schema-sha256');

/** True when dist/ is older than the sources; false in an image that ships no sources. */
export function buildIsStale() {
  if (!existsSync(join(root, 'src', 'main.ts'))) return false;
  return !existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== sourceFingerprint();
}

/** Compiles when the sources changed since the last build. */
export function buildIfStale() {
  if (!buildIsStale()) return;
  process.stderr.write('Compiling (once, a few seconds) …\n');
  build();
}

export function generate() {
  const digest = createHash('sha256').update(readFileSync(schemaFile)).digest('hex');
  if (existsSync(generatedStamp) && readFileSync(generatedStamp, 'utf8') === digest) return;
  // `prisma generate` looks for the schema engine's binary but never runs it; any executable file keeps it offline.
  run('prisma', ['generate'], { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' });
  writeFileSync(generatedStamp, digest);
}

export function build() {
  const fingerprint = sourceFingerprint();
  generate();
  // Beside, then swapped in: two commands started at once never see half a build.
  const fresh = join(root, `dist.${process.pid}`);
  run('swc', ['src', '--out-dir', fresh, '--config-file', '.swcrc', '--ignore', '**/*.spec.ts,**/*.mjs', '--quiet']);
  writeFileSync(join(fresh, '.build-stamp'), fingerprint);
  const old = `${fresh}.old`;
  if (existsSync(join(root, 'dist'))) renameSync(join(root, 'dist'), old);
  renameSync(fresh, join(root, 'dist'));
  rmSync(old, { recursive: true, force: true });
}

function sourceFingerprint() {
  const hash = createHash('sha256');
  const visit = (dir) => {
    for (const entry of readdirSync(dir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'generated') visit(path);
      } else {
        const { size, mtimeMs } = statSync(path);
        hash.update(`${path}\0${size}\0${mtimeMs}\n`);
      }
    }
  };
  visit(join(root, 'src'));
  for (const file of [schemaFile, join(root, '.swcrc'), join(root, 'package.json')]) hash.update(readFileSync(file));
  return hash.digest('hex');
}

function run(command, args, env = {}) {
  const result = spawnSync(process.execPath, [binOf(command), ...args], { cwd: root, env: { ...process.env, ...env }, encoding: 'utf8' });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}\n`);
    throw new Error(`${command} ${args.join(' ')} failed with status ${String(result.status)}`);
  }
}

function binOf(command) {
  const packages = { prisma: 'prisma', nest: '@nestjs/cli', swc: '@swc/cli' };
  const dir = join(root, 'node_modules', packages[command]);
  const { bin } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  return join(dir, typeof bin === 'string' ? bin : bin[command]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--generate-only')) generate();
  else build();
  if (process.argv.includes('--watch')) {
    const child = spawn(process.execPath, [binOf('nest'), 'start', '--watch'], { cwd: root, stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
    child.on('exit', (code) => process.exit(code ?? 0));
  }
}
