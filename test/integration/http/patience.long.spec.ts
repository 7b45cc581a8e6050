import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHouse, signIn, type House } from '../users/house.js';
import { raw } from './raw-http.js';

let house: House;
let token: string;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
});
afterAll(() => house.close());

describe('a body that does not come', () => {
  it('is waited for as long as the time limit, whether it trickles or stops', async () => {
    const { url } = await house.neighbour({ REQUEST_TIMEOUT_SECONDS: '1' });
    const head = `POST /probe/count HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n`;
    for (const pieces of [[head, '{"a":'], [head, ...Array.from({ length: 12 }, () => ['x', 200]).flat()]]) {
      const start = performance.now();
      const answer = await raw(url, ...pieces);
      expect(answer.status).toBe(408);
      expect(answer.headers.connection).toBe('close');
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'request-timeout' });
      expect(performance.now() - start).toBeLessThan(5_000);
    }
    expect((await fetch(`${url}/probe/public`)).status).toBe(200);
  });

  it('does not hold a connection whose request was answered', async () => {
    const { url } = await house.neighbour({ REQUEST_TIMEOUT_SECONDS: '1' });
    const head = (type: string): string => `POST /probe/none HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: 100000\r\n\r\n`;
    for (const type of ['multipart/form-data; boundary=x', 'application/dicom', 'application/json']) {
      const start = performance.now();
      const answer = await raw(url, head(type), ...Array.from({ length: 25 }, () => ['x', 200]).flat());
      expect([404, 408], type).toContain(answer.status);
      expect(performance.now() - start, type).toBeLessThan(6_500);
    }
  });

  it('is not waited for beyond that in the head either', async () => {
    const { url } = await house.neighbour({ REQUEST_TIMEOUT_SECONDS: '1' });
    const start = performance.now();
    const answer = await raw(url, 'GET /probe/public HTTP/1.1\r\n', ...Array.from({ length: 20 }, () => ['X-A: b\r\n', 200]).flat());
    expect(answer.status).toBe(408);
    expect(performance.now() - start).toBeLessThan(5_500);
  });
});
