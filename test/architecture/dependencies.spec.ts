import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LEFT_OUT, shippedPackages } from '../../docker/shipped-packages.mjs';
import { ROOT } from '../support/product.js';
import { openAdvisories } from './npm-audit.js';

const ALLOWED = ['Apache-2.0', 'MIT', 'MIT-0', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'Zlib', 'Unlicense', 'CC0-1.0', 'Python-2.0', 'OFL-1.1'];

interface LockEntry { version: string; license?: string; dev?: boolean; name?: string; dependencies?: Record<string, string> }
const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, LockEntry> };
const page = readFileSync(join(ROOT, 'docs/security/dependencies.md'), 'utf8');

/** Rows of a table of the page, by its first heading. */
function rowsOf(heading: string): string[][] {
  const table = page.slice(page.indexOf(`\n| ${heading} |`) + 1).split('\n\n')[0] ?? '';
  return table.split('\n').slice(2).filter((line) => line.startsWith('|')).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
}

const explained = rowsOf('Package').map(([name = '', licence = '']) => ({ pattern: new RegExp(`^${name.replaceAll('`', '').replaceAll('*', '.*')}$`), licence }));

/** Whether an SPDX expression allows the package to be shipped: every part of AND, one of OR. */
function isAllowed(expression: string, also: readonly string[]): boolean {
  const plain = expression.trim().replace(/^\((.*)\)$/, '$1');
  if (/ OR /i.test(plain)) return plain.split(/ OR /i).some((part) => isAllowed(part, also));
  return plain.split(/ AND /i).every((part) => ALLOWED.includes(part.trim()) || also.includes(part.trim()));
}

/** What a package says of its licence, where the lock file does not repeat it; older packages have a list. */
function statedLicence(path: string): string | undefined {
  const file = join(ROOT, path, 'package.json');
  if (!existsSync(file)) return undefined;
  const { license, licenses } = JSON.parse(readFileSync(file, 'utf8')) as { license?: string; licenses?: { type: string }[] };
  return license ?? licenses?.map(({ type }) => type).join(' OR ');
}

/** Packages that may not be shipped, or of which nobody knows. */
function refused(packages: Readonly<Record<string, LockEntry>>): string[] {
  return Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true).flatMap(([path, { license = statedLicence(path), name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length) }]) => {
    const exceptions = explained.filter(({ pattern }) => pattern.test(name));
    // Of a package that says nothing, the page does.
    const stated = license ?? exceptions[0]?.licence ?? 'unknown';
    return isAllowed(stated, exceptions.map(({ licence }) => licence)) ? [] : [`${name}: ${stated}`];
  });
}

describe('the licences of production dependencies', () => {
  it('allow the product to be distributed under Apache-2.0, or are explained', () => {
    expect(Object.keys(lock.packages).length).toBeGreaterThan(500);
    expect(refused(lock.packages)).toEqual([]);
  });

  it('are refused where they would not', () => {
    expect(refused({
      'node_modules/copyleft': { version: '1.0.0', license: 'GPL-3.0-only' }, 'node_modules/both': { version: '1.0.0', license: 'MIT AND AGPL-3.0-only' }, 'node_modules/silent': { version: '1.0.0' },
      'node_modules/choice': { version: '1.0.0', license: '(GPL-2.0-only OR MIT)' }, 'node_modules/tool': { version: '1.0.0', license: 'GPL-3.0-only', dev: true },
    })).toEqual(['copyleft: GPL-3.0-only', 'both: MIT AND AGPL-3.0-only', 'silent: unknown']);
  });

  it('need every explanation that is given, and EPL is in no image', () => {
    const names = Object.keys(lock.packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
    expect(explained.filter(({ pattern }) => !names.some((name) => pattern.test(name)))).toEqual([]);
    expect(shippedPackages().filter((path) => path.endsWith('/elkjs'))).toEqual([]);
  });
});

describe('what is shipped', () => {
  it('leaves out only packages that the product names', () => {
    expect(Object.keys(LEFT_OUT).filter((name) => !(name in (lock.packages['']?.dependencies ?? {})))).toEqual([]);
  });

  it('is listed in a bill of materials, with the digest of each package', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'docker', 'sbom.mjs')], { encoding: 'utf8', maxBuffer: 64 * 2 ** 20 });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const bom = JSON.parse(stdout) as { bomFormat: string; metadata: { component: { name: string } }; components: { name: string; version: string; hashes: { alg: string }[] }[] };
    expect([bom.bomFormat, bom.metadata.component.name]).toEqual(['CycloneDX', 'healthvision']);
    const shipped = new Set(shippedPackages().map((path) => `${lock.packages[path]?.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${lock.packages[path]?.version ?? ''}`));
    expect(new Set(bom.components.map(({ name, version }) => `${name}@${version}`))).toEqual(shipped);
    expect(bom.components.filter(({ hashes }) => !hashes.some(({ alg }) => alg === 'SHA-512'))).toEqual([]);
  });
});

describe('advisories', () => {
  it('that npm knows of what is shipped are explained', (context) => {
    const advisories = openAdvisories();
    if (advisories === undefined) context.skip();
    const known = rowsOf('Advisory').map(([id = '']) => id);
    expect(advisories?.filter(({ id }) => !known.some((text) => text.includes(id)))).toEqual([]);
  });

  it('are seen when there is one', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'registry-with-an-advisory.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [port] = await once(child.stdout, 'data') as [Buffer];
    try {
      expect(openAdvisories(`http://127.0.0.1:${port.toString().trim()}`)).toEqual([{ id: 'GHSA-test-test-test', package: 'pg', severity: 'high', title: 'Made up' }]);
    } finally {
      child.kill();
    }
  });
});
