import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packagedFiles, viewerFolder } from './viewer-package.js';

describe('The build of OHIF', () => {
  const folder = mkdtempSync(join(tmpdir(), 'healthvision-viewer-'));
  afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

  it('is there when it has a page', () => {
    expect(viewerFolder(folder)).toBeUndefined();
    writeFileSync(join(folder, 'index.html'), '');
    expect(viewerFolder(folder)).toBe(folder);
  });

  it('is served by the names of its files, without those that no browser needs here', () => {
    for (const name of ['app.bundle.0123456789abcdef0123.js', 'sw.js', 'app-config.js', '_headers', 'x.js.map']) writeFileSync(join(folder, name), 'x');
    for (const [below, name] of [['assets', 'a.png'], ['ort', 'ort.wasm']] as const) {
      mkdirSync(join(folder, below));
      writeFileSync(join(folder, below, name), 'x');
    }
    symlinkSync('/etc/passwd', join(folder, 'passwd.json'));
    expect([...packagedFiles(folder).keys()].sort()).toEqual(['app.bundle.0123456789abcdef0123.js', 'assets/a.png']);
  });
});
