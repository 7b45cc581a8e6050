import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProduct, type Product } from '../support/product.js';
import { CHILD, ended, requestAnalysis, uploadXray, type UploadItem } from '../support/flow.js';
import { grayPng, uploadForm } from '../support/xray.js';

let product: Product;

beforeAll(async () => { product = await startProduct({ env: { SETTLE_SECONDS: '3600', LOG_LEVEL: 'info' } }); });
afterAll(async () => { expect(await product.stop()).toBe(0); });

describe('requests that are not as they should be', () => {
  it.each([
    ['headers beyond every limit', `GET /health HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(40_000)}\r\n\r\n`, 431, 'headers-too-large'],
    ['words that are not HTTP', 'HELLO\r\n\r\n', 400, 'bad-request'],
  ])('answers %s with a coded problem', async (_, text, status, code) => {
    const answer = await raw(text);
    expect(answer).toContain(`HTTP/1.1 ${String(status)}`);
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({ status, code });
  });

  it.each([
    ['a JSON body nested three thousand deep', '/api/v1/analyses', `{"a":${'['.repeat(3_000)}${']'.repeat(3_000)}}`, 400],
    ['JSON that is none', '/api/v1/analyses', '{"a":', 400],
    ['a body of two megabytes', '/api/v1/analyses', JSON.stringify({ analysis: 'x'.repeat(2_000_000) }), 413],
  ])('answers %s with a status below 500', async (_, path, body, status) => {
    for (const headers of [{}, { 'idempotency-key': 'k-1' }]) {
      const response = await product.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
      expect(response.status).toBe(status);
      expect(response.headers.get('content-type')).toContain('application/problem+json');
    }
  });

  it('answers a URL that is too long with matching statuses', async () => {
    const response = await product.fetch(`/api/v1/studies/${'1'.repeat(500)}`);
    expect(response.status).toBe(((await response.json()) as { status: number }).status);
    expect(response.status).toBeLessThan(500);
  });

  it('does not take a client that hangs up for a failure of its own', async () => {
    const socket = connect(Number(new URL(product.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`POST /api/v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${await product.token()}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"a`);
    await new Promise((resolve) => setTimeout(resolve, 300));
    socket.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(product.output()).not.toContain('database-unavailable');
  });
});

describe('an upload with an Idempotency-Key', () => {
  it('gives the first answer again, and refuses another body', async () => {
    const send = async (side: number): Promise<Response> => product.fetch('/api/v1/images', { method: 'POST', headers: { 'idempotency-key': 'upload-1' }, body: uploadForm([{ name: 'a.png', bytes: await grayPng(1, side) }], CHILD) });
    const first = await send(128);
    expect(first.status).toBe(201);
    const again = await send(128);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await again.json()).toEqual(await first.json());
    expect((await send(200)).status).toBe(422);
  });
});

describe('a model asked for by name', () => {
  it('is kept off a patient that it was not made for', async () => {
    const form = uploadForm([{ name: 'adult.png', bytes: await grayPng(3, 384) }], { ...CHILD, patientAge: '50' });
    const { items } = await product.json<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: form });
    const run = await requestAnalysis(product, items[0]?.studyInstanceUid ?? '', { model: 'chest-xray-pneumonia' });
    expect(await ended(product, run.id)).toMatchObject({ status: 'not-analysable', reason: { code: 'outside-model-domain' } });
  });

  it('leaves no result behind when the study is deleted', async () => {
    const uid = await uploadXray(product, 77);
    const run = await requestAnalysis(product, uid);
    expect(await ended(product, run.id)).toMatchObject({ status: 'succeeded' });
    expect((await product.fetch(`/api/v1/studies/${uid}`, { method: 'DELETE' })).status).toBe(204);
    await expect.poll(async () => (await product.json<{ resultId?: string }>(`/api/v1/analyses/${run.id}`)).resultId, { timeout: 20_000 }).toBeUndefined();
  });
});

/** Bytes as they are, and what comes back until the connection ends. */
async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(product.url).port), '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => { answer += chunk; }).on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answer;
}
