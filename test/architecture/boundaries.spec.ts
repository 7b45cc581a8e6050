import { cruise, type ICruiseResult } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/product.js';

interface Rule { name: string }
const rules = createRequire(import.meta.url)(join(ROOT, '.dependency-cruiser.cjs')) as { forbidden: Rule[]; options: object };

/** For every rule: a file and what it must not import (a file of the tree, made empty if not listed, or a package). */
const VIOLATIONS: Record<string, { from: string; to: string }> = {
  'no-circular': { from: 'src/imaging/volume/a.ts', to: 'src/imaging/volume/b.ts' },
  'kernel-is-leaf': { from: 'src/kernel/errors.ts', to: 'src/platform/config.ts' },
  'imaging-is-pure': { from: 'src/imaging/volume/geometry.ts', to: 'node:fs' },
  'dcmjs-behind-two-doors': { from: 'src/imaging/render/window.ts', to: 'dcmjs' },
  'analyses-are-siblings': { from: 'src/imaging/analyses/chest-xray/analysis.ts', to: 'src/imaging/analyses/lung-nodule/analysis.ts' },
  'platform-below-modules': { from: 'src/platform/http/app.ts', to: 'src/modules/users/users.contract.ts' },
  'web-by-contract': { from: 'src/web/page.ts', to: 'src/modules/users/users.service.ts' },
  'only-main-sees-roles': { from: 'src/web/start.ts', to: 'src/roles/api.ts' },
  'modules-by-contract': { from: 'src/modules/images/images.service.ts', to: 'src/modules/users/users.service.ts' },
  'wiring-by-module-file': { from: 'src/modules/images/images.module.ts', to: 'src/modules/users/users.service.ts' },
  'dag-users': { from: 'src/modules/users/users.store.ts', to: 'src/modules/images/images.contract.ts' },
  'dag-images': { from: 'src/modules/images/images.store.ts', to: 'src/modules/results/results.contract.ts' },
  'dag-results': { from: 'src/modules/results/results.store.ts', to: 'src/modules/analysis/analysis.contract.ts' },
  'dag-analysis': { from: 'src/modules/analysis/analysis.store.ts', to: 'src/modules/notifications/notifications.contract.ts' },
  'contracts-are-thin': { from: 'src/modules/results/results.contract.ts', to: 'src/platform/storage/blob-store.ts' },
  'prisma-in-stores': { from: 'src/modules/users/tokens.service.ts', to: 'src/generated/prisma/client.ts' },
  'bullmq-in-queue': { from: 'src/modules/images/settle.service.ts', to: 'bullmq' },
  'opentelemetry-in-ops': { from: 'src/modules/images/settle.service.ts', to: '@opentelemetry/api' },
  'tracing-on-demand': { from: 'src/roles/run.ts', to: 'src/platform/ops/trace-export.ts' },
  'onnx-in-session': { from: 'src/platform/compute/compute-pool.ts', to: 'onnxruntime-node' },
  'api-never-loads-onnx': { from: 'src/roles/api.ts', to: 'src/platform/compute/compute-pool.ts' },
  'jobs-only-in-workers': { from: 'src/roles/api.ts', to: 'src/modules/images/settle.job.ts' },
  'no-barrels': { from: 'src/modules/images/barrel-user.ts', to: 'src/modules/images/index.ts' },
  'no-dumping-grounds': { from: 'src/modules/images/dump-user.ts', to: 'src/modules/images/utils.ts' },
  'src-not-to-test': { from: 'src/platform/ops/logger.ts', to: 'test/support/product.ts' },
  'no-orphans': { from: 'src/platform/ops/dead.ts', to: '' },
  'resolvable': { from: 'src/platform/ops/broken.ts', to: 'src/platform/ops/gone.js' },
  'no-dev-deps': { from: 'src/platform/ops/dev.ts', to: 'vitest' },
};

let tree = '';
let found: ICruiseResult['summary']['violations'];

beforeAll(async () => {
  tree = realpathSync(mkdtempSync(join(tmpdir(), 'healthvision-boundaries-')));
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'), 'dir');
  const manifest = createRequire(import.meta.url)(join(ROOT, 'package.json')) as object;
  writeFileSync(join(tree, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(tree, 'tsconfig.json'), JSON.stringify({ compilerOptions: { target: 'es2023', module: 'nodenext', moduleResolution: 'nodenext' } }));
  const contents = new Map<string, string[]>();
  const add = (file: string, line?: string): void => { contents.set(file, [...(contents.get(file) ?? []), ...(line === undefined ? [] : [line])]); };
  for (const { from, to } of Object.values(VIOLATIONS)) {
    add(from, to === '' ? undefined : `import '${specifier(from, to)}';`);
    if (to.endsWith('.ts')) add(to);
  }
  add('src/imaging/volume/b.ts', `import './a.js';`);
  for (const [file, lines] of contents) {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), `${lines.join('\n')}\nexport const x = 1;\n`);
  }
  const { tsConfig: _, ...options } = rules.options as { tsConfig: unknown };
  const result = await cruise(['src'], { ...options, baseDir: tree, ruleSet: { forbidden: rules.forbidden as never }, validate: true, outputType: undefined as never }, undefined, { tsConfig: extractTSConfig(join(tree, 'tsconfig.json')) });
  // Without an output type the result is the object itself.
  found = (result.output as ICruiseResult).summary.violations;
});

afterAll(() => { rmSync(tree, { recursive: true, force: true }); });

describe('the import boundaries', () => {
  it.each(rules.forbidden.map(({ name }) => name))('fire: %s', (name) => {
    const violation = VIOLATIONS[name];
    expect(violation, `a violation for the rule ${name} is listed`).toBeDefined();
    expect(found.filter((hit) => hit.rule.name === name).map((hit) => hit.from)).toContain(violation?.from);
  });

  it('lists no violation for a rule that is gone', () => {
    expect(Object.keys(VIOLATIONS).sort()).toEqual(rules.forbidden.map(({ name }) => name).sort());
  });
});

function specifier(from: string, to: string): string {
  if (!to.includes('/') || to.startsWith('node:') || to.startsWith('@')) return to;
  const up = dirname(from).split('/').map(() => '..').join('/');
  return `${up}/${to.replace(/\.ts$/, '.js')}`;
}
