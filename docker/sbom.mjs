#!/usr/bin/env node
// node docker/sbom.mjs [file]: the bill of materials of the image in CycloneDX, on standard output or into a file. `npm run sbom`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeManifests } from './shipped-packages.mjs';

const [file] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'healthvision-sbom-'));
// npm names the product after its folder.
const folder = join(scratch, 'healthvision');
try {
  mkdirSync(folder);
  writeManifests(folder);
  const { status, stdout, stderr } = spawnSync('npm', ['sbom', '--package-lock-only', '--omit=dev', '--sbom-format=cyclonedx', '--sbom-type=application'], { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 });
  if (status !== 0) {
    process.stderr.write(stderr);
    process.exitCode = 1;
  } else if (file === undefined) process.stdout.write(stdout);
  else writeFileSync(file, stdout);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
