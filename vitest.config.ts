import swc from 'unplugin-swc';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.js';

/** They compare times, or what a process takes, which whoever else is at work would shift. */
const ALONE = ['test/chaos/scheduling.spec.ts', 'test/e2e/big-upload.spec.ts', 'test/e2e/roles.spec.ts', 'test/e2e/monitoring.spec.ts'];

export default defineConfig({
  // SWC, because Nest's injection needs decorator metadata. It reads .swcrc.
  plugins: [swc.vite()],
  oxc: false,
  test: {
    globalSetup: ['test/support/global-setup.mjs'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.spec.ts', 'test/golden/**/*.spec.ts', 'test/architecture/**/*.spec.ts', 'test/ops/**/*.spec.ts'] } },
      { extends: true, test: { name: 'integration', include: ['test/integration/**/*.spec.ts'], exclude: ['**/*.long.spec.ts'] } },
      // What takes long, or talks to servers of its own: part of `npm run verify`, all at once but for those that want to be alone.
      { extends: true, test: { name: 'long', include: ['test/integration/**/*.long.spec.ts'], testTimeout: 300_000 } },
      { extends: true, test: { name: 'e2e', include: ['test/e2e/**/*.spec.ts'], exclude: ALONE, testTimeout: 300_000 } },
      { extends: true, test: { name: 'chaos', include: ['test/chaos/**/*.spec.ts'], exclude: ALONE, testTimeout: 600_000 } },
      { extends: true, test: { name: 'alone', include: ALONE, fileParallelism: false, testTimeout: 300_000, sequence: { groupOrder: 1 } } },
    ],
  },
});
