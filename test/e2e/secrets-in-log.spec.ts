import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, startProduct, type Product } from '../support/product.js';

let product: Product;
/** All that nobody may read in a log. */
const secrets = new Set<string>([ADMIN.password]);

beforeAll(async () => { product = await startProduct({ env: { LOG_LEVEL: 'trace' } }); });
afterAll(() => product.stop());

async function post(path: string, body: URLSearchParams | object, headers: Record<string, string> = {}): Promise<{ status: number; answer: Record<string, unknown> }> {
  const isForm = body instanceof URLSearchParams;
  const response = await fetch(`${product.url}${path}`, { method: 'POST', headers: { ...(!isForm && { 'content-type': 'application/json' }), ...headers }, body: isForm ? body : JSON.stringify(body) });
  const text = await response.text();
  const answer = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  for (const [name, value] of Object.entries(answer)) if (/secret|token$|^key$/i.test(name) && typeof value === 'string') secrets.add(value);
  return { status: response.status, answer };
}

describe('a day of secrets, with everything logged', () => {
  it('leaves none of them in the log or in a file of the data folder', async () => {
    const wrong = 'wrong-password-zebra-4711';
    secrets.add(wrong);
    expect((await post('/oauth2/token', new URLSearchParams({ grant_type: 'password', username: ADMIN.email, password: wrong }))).status).toBe(400);
    const signedIn = await post('/oauth2/token', new URLSearchParams({ grant_type: 'password', username: ADMIN.email, password: ADMIN.password }));
    expect(signedIn.status).toBe(200);
    const bearer = { authorization: `Bearer ${String(signedIn.answer.access_token)}` };

    const key = await post('/api/v1/api-keys', { name: 'log test', scopes: ['images:read'] }, bearer);
    expect(key.status).toBe(201);
    await fetch(`${product.url}/api/v1/studies`, { headers: { 'x-api-key': String(key.answer.key) } });
    await fetch(`${product.url}/api/v1/studies`, { headers: { 'x-api-key': 'hv_forged-key-okapi-0815' } });
    secrets.add('hv_forged-key-okapi-0815');

    // Where there are clients, theirs too.
    const client = await post('/api/v1/oauth-clients', { name: 'log test', scopes: ['images:read'] }, bearer);
    if (client.status === 201) await post('/oauth2/token', new URLSearchParams({ grant_type: 'client_credentials', client_id: String(client.answer.clientId ?? client.answer.id), client_secret: String(client.answer.clientSecret ?? client.answer.secret) }));

    const password = 'person-password-quokka-1234';
    secrets.add(password);
    await post('/api/v1/users', { email: 'person@hospital.test', displayName: 'A Person', role: 'technician', password }, bearer);
    // Refused bodies, broken JSON, and what a client may send by mistake in a URL.
    await post('/api/v1/users', { email: 'x', password, unknown: password }, bearer);
    await fetch(`${product.url}/api/v1/users`, { method: 'POST', headers: { ...bearer, 'content-type': 'application/json' }, body: `{"password":"${password}",` });
    await fetch(`${product.url}/api/v1/studies?access_token=${String(signedIn.answer.access_token)}&password=${password}`);
    await fetch(`${product.url}/docs`, { headers: { cookie: `session=${password}` } });

    const refreshed = await post('/oauth2/token', new URLSearchParams({ grant_type: 'refresh_token', refresh_token: String(signedIn.answer.refresh_token) }));
    expect(refreshed.status).toBe(200);
    await post('/oauth2/token', new URLSearchParams({ grant_type: 'refresh_token', refresh_token: String(signedIn.answer.refresh_token) }));
    await post('/oauth2/revoke', new URLSearchParams({ token: String(refreshed.answer.refresh_token) }));

    const output = product.output();
    expect(output).toContain('"msg":"request"');
    expect(secrets.size).toBeGreaterThanOrEqual(9);
    for (const secret of secrets) expect(output.includes(secret), `${secret.slice(0, 12)}… stands in the log`).toBe(false);
    for (const file of logFiles(product.dataDir)) for (const secret of secrets) expect(readFileSync(file).includes(secret), `${secret.slice(0, 12)}… stands in ${file}`).toBe(false);
  });
});

/** What the embedded server writes down. */
function logFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.log')).map((name) => join(folder, name)).filter((path) => statSync(path).isFile());
}
