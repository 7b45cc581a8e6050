import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebModule } from '../../../src/web/web.module.js';
import { ADMIN, temporaryDirectory } from '../../support/product.js';
import { openHouse, type House } from '../results/house.js';

const BUNDLE = 'app.bundle.0123456789abcdef0123.js';
const SCRIPT = `__webpack_require__.p = "/"; // ${'x'.repeat(5_000)}`;
const INDEX = `<html><head><script>window.PUBLIC_URL = '/';</script><script src="/app-config.js"></script><title>OHIF Viewer</title><script src="/${BUNDLE}"></script></head></html>`;

/** A build of a viewer, as far as serving it goes. */
function build(): string {
  const folder = temporaryDirectory();
  mkdirSync(join(folder, 'assets'));
  for (const [name, text] of [['index.html', INDEX], [BUNDLE, SCRIPT], ['app.css', 'a{background:url(/x.png)}'], ['assets/x.png', 'png'], ['app-config.js', 'theirs'], ['a b%.json', '{}'], ['0123456789abcdef.wasm', 'wasm']] as const) writeFileSync(join(folder, name), text);
  return folder;
}

let house: House;
let cookie: string;
beforeAll(async () => {
  house = await openHouse({ imports: [WebModule], variables: { OHIF_DIST: build() } });
  const response = await fetch(`${house.url}/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email: ADMIN.email, password: ADMIN.password }) });
  cookie = response.headers.getSetCookie().map((text) => text.split(';')[0]).join('; ');
});
afterAll(async () => { await house.close(); });

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> => fetch(`${house.url}${path}`, { headers, redirect: 'manual' });

describe('/viewer', () => {
  it('is for those who are signed in, and leads others to the sign-in and back', async () => {
    for (const path of ['/viewer', '/viewer/', '/viewer/viewer?StudyInstanceUIDs=1.2.3&x=%2F']) {
      const response = await get(path);
      expect([response.status, response.headers.get('location')]).toEqual([303, `/login?next=${encodeURIComponent(path)}`]);
      const page = await get(path, { cookie });
      expect(page.status).toBe(200);
      const text = await page.text();
      expect(text).toContain(`src="/viewer/${BUNDLE}"`);
      expect(page.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
      expect(page.headers.get('cross-origin-opener-policy')).toBe('same-origin');
      expect(page.headers.get('cache-control')).toBe('no-store');
      expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-[^ ]+'; /);
    }
  });

  it('serves the files of the build, led to /viewer/, compressed, and for ever where the name changes with the content', async () => {
    const plain = await get(`/viewer/${BUNDLE}`, { 'accept-encoding': 'identity' });
    expect(await plain.text()).toBe(SCRIPT.replace('"/"', '"/viewer/"'));
    expect(plain.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(plain.headers.get('content-security-policy')).toContain("'unsafe-eval'");
    const small = await get(`/viewer/${BUNDLE}`, { 'accept-encoding': 'gzip, br' });
    expect([small.headers.get('content-encoding'), small.headers.get('vary')]).toEqual(['gzip', 'Accept-Encoding']);
    expect(Number(small.headers.get('content-length'))).toBeLessThan(200);
    expect(await small.text()).toBe(SCRIPT.replace('"/"', '"/viewer/"'));
    expect(small.headers.get('etag')).not.toBe(plain.headers.get('etag'));
    expect((await get(`/viewer/${BUNDLE}`, { 'if-none-match': plain.headers.get('etag') ?? '', 'accept-encoding': 'identity' })).status).toBe(304);
    const style = await get('/viewer/app.css');
    expect([await style.text(), style.headers.get('cache-control')]).toEqual(['a{background:url(/viewer/x.png)}', 'private, no-cache']);
    expect((await get('/viewer/0123456789abcdef.wasm')).headers.get('content-type')).toBe('application/wasm');
    expect((await get('/viewer/a%20b%25.json')).status).toBe(200);
  });

  it('has a configuration of its own', async () => {
    const text = await (await get('/viewer/app-config.js', { 'accept-language': 'zh' })).text();
    expect(text).toContain('"zh"');
    expect(text).not.toContain('theirs');
    // It is a script, and says what it should in a browser.
    const window = { location: { origin: 'https://here.example' }, config: {} as { customizationService?: unknown } };
    const kept = new Map<string, string>();
    const localStorage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => { kept.set(key, value); } };
    runInNewContext(text, { window, localStorage });
    expect(window.config).toMatchObject({ routerBasename: '/viewer', dataSources: [{ configuration: { qidoRoot: 'https://here.example/dicom-web', supportsStow: false } }] });
    expect(kept.get('i18nextLng')).toBe('zh');
    expect(window.config.customizationService).toContainEqual({ onBeforeSRAddMeasurement: { $set: expect.any(Function) as unknown } });
  });

  it('has nothing beside its files', async () => {
    for (const path of ['/viewer/nothing.js', '/viewer/sw.js', '/viewer/..%2f..%2fpackage.json', '/viewer/%2e%2e/%2e%2e/etc/passwd.txt', '/viewer/assets/..%2findex.html', '/viewer/index.html']) {
      const response = await get(path, { cookie });
      expect(response.status, path).toBe(404);
      expect(((await response.json()) as { code: string }).code).toBe('not-found');
    }
  });
});

describe('/viewer where it is not installed', () => {
  it('says so, to people on a page and to programs by its code', async () => {
    const bare = await openHouse({ imports: [WebModule], variables: { OHIF_DIST: temporaryDirectory() } });
    try {
      const response = await fetch(`${bare.url}/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email: ADMIN.email, password: ADMIN.password }) });
      const own = response.headers.getSetCookie().map((text) => text.split(';')[0]).join('; ');
      const problem = await fetch(`${bare.url}/viewer`, { headers: { cookie: own, accept: 'application/json' } });
      expect([problem.status, ((await problem.json()) as { code: string }).code]).toEqual([404, 'viewer-not-installed']);
      const page = await fetch(`${bare.url}/viewer/viewer?StudyInstanceUIDs=1.2.3`, { headers: { 'cookie': own, 'accept': 'text/html', 'accept-language': 'zh' } });
      expect([page.status, await page.text()]).toEqual([404, expect.stringContaining('<h1>未安装影像查看器</h1>')]);
    } finally {
      await bare.close();
    }
  });
});

describe('The language of a page', () => {
  it('is the browser’s until somebody chooses one', async () => {
    const chinese = await get('/login', { 'accept-language': 'zh-CN' });
    expect(chinese.headers.get('content-language')).toBe('zh-CN');
    const chosen = await get('/login?next=%2Fviewer%3Fa%3Db&lang=en', { 'accept-language': 'zh-CN' });
    expect([chosen.status, chosen.headers.get('location')]).toEqual([303, '/login?next=%2Fviewer%3Fa%3Db']);
    const kept = chosen.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    expect((await get('/login', { 'accept-language': 'zh-CN', 'cookie': kept })).headers.get('content-language')).toBe('en');
    expect((await get('/login?lang=xx')).status).toBe(200);
    expect((await get('/login', { cookie: 'hv_language=<script>' })).headers.get('content-language')).toBe('en');
  });
});
