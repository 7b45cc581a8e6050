#!/usr/bin/env node
// The `healthvision` command: builds a fresh clone once, then hands over to the compiled command line.
import { buildIfStale } from './build.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`HealthVision needs Node.js 20.19 or newer; this is ${process.versions.node}.\n`);
  process.exit(1);
}
buildIfStale();
await import(new URL('../../dist/src/cli/healthvision.js', import.meta.url).href);
