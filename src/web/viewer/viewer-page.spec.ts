import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { packagedFiles, viewerFolder } from './viewer-package.js';
import { CHANGES, ledToViewer, viewerPage } from './viewer-page.js';

const INDEX = `<!doctype html><html><head><meta name="apple-mobile-web-app-title" content="@ohif/app"/><script>console.time('x');
      window.PUBLIC_URL = '/';</script><link rel="manifest" href="/manifest.json"/><link rel="icon" type="image/png" href="/assets/favicon-16x16.png"/><script rel="preload" as="script" src="/app-config.js"></script><script rel="preload" as="script" type="module" src="/init-service-worker.js"></script><title>OHIF Viewer</title><script>function f(m) { return import(m); }
window.PUBLIC_URL = '/';</script><script defer="defer" src="/app.bundle.0a.js"></script><link href="/app.bundle.css" rel="stylesheet"><script src="//elsewhere.example/x.js"></script></head></html>`;

describe('The page of OHIF', () => {
  const { html, policy } = viewerPage(INDEX);

  it('is led to /viewer/, without an app of its own', () => {
    expect([...html.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, path]) => path)).toEqual(['/viewer/app-config.js', '/assets/icon.svg', '/viewer/app.bundle.0a.js', '/viewer/app.bundle.css', '//elsewhere.example/x.js']);
    expect(html.match(/window\.PUBLIC_URL = '\/viewer\/';/g)).toHaveLength(2);
    expect(html).not.toMatch(/manifest|service-worker|apple-mobile|OHIF Viewer/);
  });

  it('allows its inline scripts as they are sent, and no others', () => {
    const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`);
    expect(scripts).toHaveLength(2);
    expect(policy.split('; ').find((directive) => directive.startsWith('script-src'))).toBe(`script-src 'self' 'wasm-unsafe-eval' ${scripts.join(' ')}`);
    expect(policy).not.toContain("'unsafe-eval'");
  });
});

describe('Files of OHIF', () => {
  it('have webpack’s public path and the addresses of styles led to /viewer/', () => {
    expect(ledToViewer(Buffer.from('a;__webpack_require__.p = "/";b;__webpack_require__.p = "/";'), '.js').toString()).toBe('a;__webpack_require__.p = "/viewer/";b;__webpack_require__.p = "/viewer/";');
    expect(ledToViewer(Buffer.from('@font-face{src:url(/31fb.woff2)}b{background:url(data:x)}'), '.css').toString()).toBe('@font-face{src:url(/viewer/31fb.woff2)}b{background:url(data:x)}');
  });

  it('stay as they are when there is nothing to lead', () => {
    const bytes = Buffer.from('var p = "/";');
    expect(ledToViewer(bytes, '.js')).toBe(bytes);
    expect(ledToViewer(bytes, '.wasm')).toBe(bytes);
  });

  const folder = viewerFolder(undefined);
  it.skipIf(folder === undefined)('hold everything that is put right, in the version that is installed', () => {
    const scripts = [...packagedFiles(folder ?? '').values()].filter(({ name }) => name.endsWith('.js')).map(({ path }) => readFileSync(path));
    for (const [from, to] of CHANGES['.js'] ?? []) {
      expect(scripts.filter((bytes) => bytes.includes(from)).length, from).toBeGreaterThan(0);
      expect(to).not.toBe(from);
    }
    // All of these functions of Cornerstone, and nothing else.
    const text = scripts.map((bytes) => bytes.toString()).join('');
    expect(text.split('let { columnPixelSpacing, rowPixelSpacing } = imagePlaneModule;').length).toBe(text.split(/function (?:imageToWorldCoords|worldToImageCoords)\(imageId, \w+\) \{/).length);
  });
});
