import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { opsTool } from '../../support/ops-tools.js';
import { ROOT } from '../../support/product.js';
import { environmentOf, instructionsOf } from './dockerfile.js';

const hadolint = opsTool('hadolint', 'the Dockerfile is not linted');
const shellcheck = opsTool('shellcheck', 'shell scripts are not linted');
const npmStart = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } }).scripts.start;

describe('the Dockerfile', () => {
  it.skipIf(hadolint === undefined)('is clean to hadolint', () => {
    expect(complaints(hadolint ?? '', ['--failure-threshold', 'style', 'docker/Dockerfile'])).toBe('');
  });

  it('makes two images that differ in their base, their libraries and what the GPU is told', () => {
    const common = (target: string): string[] => instructionsOf(target).filter(({ name }) => name !== 'ENV').map(({ name, value }) => `${name} ${value.replace(', with CUDA 12 and cuDNN', '').replace('stage-gpu', 'stage-cpu')}`);
    expect(common('gpu')).toEqual(common('cpu'));
    expect(environmentOf('gpu')).toMatchObject(environmentOf('cpu'));
    expect(instructionsOf('gpu-base')).toEqual(instructionsOf('cpu-base'));
    expect(environmentOf('gpu')).toMatchObject({ EXECUTION_PROVIDERS: 'cuda', EXECUTION_PROVIDERS_STRICT: 'true' });
  });

  it('starts as npm start does, behind an init, as an account that is not root', () => {
    const [, settings = '', options = ''] = /^(.*) exec node (.*) start$/.exec(npmStart) ?? [];
    for (const setting of settings.split(' ')) expect(Object.entries(environmentOf('cpu')).map((pair) => pair.join('='))).toContain(setting);
    const entrypoint = instructionsOf('cpu').find(({ name }) => name === 'ENTRYPOINT')?.value;
    expect(JSON.parse(entrypoint ?? '')).toEqual(['tini', '--', 'node', ...options.split(' ').map((word) => word.replace(/^src\//, '/app/src/'))]);
    expect(instructionsOf('cpu')).toContainEqual({ name: 'USER', value: '10001:10001' });
  });

  it('runs one install script, that of ONNX Runtime, and only for the GPU', () => {
    const runs = ['packages', 'build', 'stage-cpu', 'stage-gpu', 'cpu-base', 'cpu', 'gpu'].flatMap((target) => instructionsOf(target).filter(({ name, value }) => name === 'RUN' && value.includes('ignore-scripts=false')).map(({ value }) => ({ target, value })));
    expect(runs.map(({ target }) => target)).toEqual(['stage-gpu']);
    expect(runs[0]?.value).toContain('ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node --ignore-scripts=false');
  });

  it('sends the builder files that there are', () => {
    const kept = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(kept.length).toBeGreaterThan(10);
    expect(kept.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});

describe('shell scripts', () => {
  it.skipIf(shellcheck === undefined)('are clean to shellcheck', () => {
    const scripts = ['.ci', 'docker', 'helm', 'bench', 'src', 'test', 'prisma'].filter((folder) => existsSync(join(ROOT, folder)))
      .flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)))
      .filter((file) => /(\.sh|\/run)$/.test(file) && /^#!.*\b(ba)?sh\b/.test(readFileSync(file, 'utf8')));
    expect(scripts.length).toBeGreaterThan(1);
    expect(complaints(shellcheck ?? '', scripts)).toBe('');
  });
});

function complaints(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? '' : stdout + stderr;
}
