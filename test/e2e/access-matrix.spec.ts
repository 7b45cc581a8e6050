import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../src/kernel/uid.js';
import { PERMISSIONS, ROLE_PERMISSIONS, ROLES, type Permission } from '../../src/modules/users/users.contract.js';
import { attempt, documentedOperations, filled, type Caller, type DocumentedOperation, type Fillings } from '../support/access-matrix.js';
import { CHILD, ended, requestAnalysis, uploadXray } from '../support/flow.js';
import { ADMIN, eventually, startProduct, type Product } from '../support/product.js';

const PASSWORD = 'a password of quite some length 7';
const PATIENT = 'MATRIX-PATIENT-4711';
const UNLIMITED = { RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0', RATE_LIMIT_ANONYMOUS: '0', RATE_LIMIT_SIGN_IN: '0', RATE_LIMIT_SIGN_IN_FAILURES: '0' };
const CROSSING = { 'x-access-reason': 'Setting up the second hospital of the test' };

let product: Product;
let operations: DocumentedOperation[] = [];
let fillings: Fillings;
let secrets: string[];
let cells = 0;
const tokens = new Map<string, Caller>();
let foreign: Caller;
let expired: Caller;
const keys = new Map<Permission, Caller>();

const json = { 'content-type': 'application/json' };
const bearer = (name: string, token: string, more: Record<string, string> = {}): Caller => ({ name, headers: { authorization: `Bearer ${token}`, ...more } });
const post = <T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> => product.json<T>(path, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) });

async function tokenOf(email: string, password: string): Promise<string> {
  const response = await fetch(`${product.url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: email, password }) });
  if (!response.ok) throw new Error(await response.text());
  return ((await response.json()) as { access_token: string }).access_token;
}

async function newPerson(role: string, headers: Record<string, string> = {}): Promise<{ id: string; email: string; token: string }> {
  const email = `${role}.${uuidv7()}@people.test`;
  const { id } = await post<{ id: string }>('/api/v1/users', { email, displayName: 'Somebody', role, password: PASSWORD }, headers);
  return { id, email, token: await tokenOf(email, PASSWORD) };
}

async function keyOf(scopes: readonly string[], expiresAt?: string): Promise<{ id: string; key: string }> {
  return post('/api/v1/api-keys', { name: 'matrix', scopes, ...(expiresAt !== undefined && { expiresAt }) });
}

const first = async (path: string): Promise<string> => (await eventually(`an item of ${path}`, async () => (await product.json<{ items: { id: string }[] }>(path)).items[0])).id;

beforeAll(async () => {
  product = await startProduct({ env: UNLIMITED });
  operations = await documentedOperations(product.url);
  const studyInstanceUid = await uploadXray(product, 1, { ...CHILD, patientId: PATIENT });
  const [instance] = await product.json<Record<string, { Value: string[] }>[]>(`/dicom-web/studies/${studyInstanceUid}/instances`);
  const uid = (tag: string): string => instance?.[tag]?.Value[0] ?? '';
  await product.fetch(`/api/v1/studies/${studyInstanceUid}/complete`, { method: 'POST' });
  const run = await ended(product, (await requestAnalysis(product, studyInstanceUid)).id);
  const { id: institutionId } = (await product.json<{ items: { id: string }[] }>('/api/v1/institutions')).items[0] ?? { id: '' };

  for (const role of ROLES) tokens.set(role, bearer(role, (await newPerson(role)).token));
  for (const permission of PERMISSIONS) keys.set(permission, { name: `a key with ${permission}`, headers: { 'x-api-key': (await keyOf([permission])).key } });
  expired = { name: 'an expired key', headers: { 'x-api-key': (await keyOf(PERMISSIONS, new Date(Date.now() + 2_000).toISOString())).key } };
  const elsewhere = await post<{ id: string }>('/api/v1/institutions', { name: 'Another hospital' });
  foreign = bearer('an administrator of another institution', (await newPerson('admin', { ...CROSSING, 'x-institution-id': elsewhere.id })).token);

  const somebody = await newPerson('radiologist');
  const [sessionId] = (await product.json<{ items: { id: string }[] }>(`/api/v1/users/${somebody.id}/sessions`)).items.map(({ id }) => id);
  // Somebody whose role sees no patients: only they have an emergency to declare.
  const watcher = await newPerson('auditor');
  const upload = await product.fetch('/api/v1/uploads', { method: 'POST', headers: { 'tus-resumable': '1.0.0', 'upload-length': '10' } });
  const grant = await product.fetch('/api/v1/break-glass', { method: 'POST', headers: { ...json, authorization: `Bearer ${watcher.token}` }, body: JSON.stringify({ reason: 'The matrix needs an emergency access to ask for', minutes: 5 }) });
  const model = run.model;
  const key = await keyOf(['images:read']);
  const client = await post<{ id: string }>('/api/v1/oauth-clients', { name: 'matrix', scopes: ['images:read'], authentication: 'client_secret' });
  const caller = await post<{ id: string }>('/api/v1/dimse-callers', { aeTitle: 'MATRIX' });
  const rule = await post<{ id: string }>('/api/v1/routing-rules', { name: 'Matrix', enabled: false, plan: [] });
  const destination = await post<{ id: string }>('/api/v1/destinations', { name: 'Matrix', enabled: false, target: { kind: 'stow', url: 'https://pacs.example.org' } });
  const webhook = await post<{ id: string }>('/api/v1/webhooks', { url: 'https://hooks.example.org', enabled: false, events: ['result.ready'] });
  fillings = {
    'study': studyInstanceUid, 'studyInstanceUid': studyInstanceUid, 'series': uid('0020000E'), 'instance': uid('00080018'), 'frames': '1', 'tag': '7FE00010',
    'name': model.name, 'version': model.version, 'number': '1', 'token': 'nobody-knows', 'sessionId': sessionId ?? '',
    '/api/v1/institutions/{id}': institutionId, '/api/v1/users/{id}': somebody.id, '/api/v1/api-keys/{id}': key.id, '/api/v1/oauth-clients/{id}': client.id, '/api/v1/dimse-callers/{id}': caller.id, '/api/v1/routing-rules/{id}': rule.id, '/api/v1/destinations/{id}': destination.id, '/api/v1/webhooks/{id}': webhook.id, 'deliveryId': uuidv7(), '/api/v1/queues/{name}/jobs/{id}': uuidv7(),
    '/api/v1/uploads/{id}': upload.headers.get('location')?.split('/').at(-1) ?? '', '/api/v1/analyses/{id}': run.id, '/api/v1/results/{id}': run.resultId ?? '',
    '/api/v1/notifications/{id}': await first('/api/v1/notifications'), '/api/v1/patients/{id}': await first('/api/v1/patients'), '/api/v1/audit-events/{id}': await first('/api/v1/audit-events'),
    '/api/v1/break-glass/{id}': ((await grant.json()) as { id: string }).id, '/api/v1/users/me/sessions/{id}': sessionId ?? '',
    ...(await fhirFillings(run.resultId ?? '')),
  };
  // A model's digest is the same in every institution.
  const shared = new Set(['frames', 'tag', 'name', 'version', 'number', 'token', '/fhir/Device/{id}']);
  secrets = [PATIENT, ADMIN.email, somebody.email, ...Object.entries(fillings).filter(([name]) => !shared.has(name)).map(([, value]) => value)];
  await eventually('the key to expire', async () => (await fetch(`${product.url}/api/v1/users/me`, { headers: expired.headers })).status === 401);
}, 240_000);
afterAll(async () => { await product.stop(); });

/** One resource of each type that belongs to a result. */
async function fhirFillings(resultId: string): Promise<Fillings> {
  const { entry } = await product.json<{ entry: { resource: { resourceType: string; id: string } }[] }>(`/api/v1/results/${resultId}/fhir`);
  return Object.fromEntries(entry.map(({ resource: { resourceType, id } }) => [`/fhir/${resourceType}/{id}`, id]));
}

/** Parameters of the same form that name nothing. */
function nothing(path: string): string {
  return filled(path, Object.fromEntries([...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [name, fillings[name] === undefined || name.endsWith('Id') ? uuidv7() : /^[\d.]{10,}$/.test(fillings[name]) ? `2.25.${String(BigInt(Date.now()))}` : fillings[name]])));
}

/** What answers before it looks whose it is, or finds nothing where another service would miss something. */
const ELSEWHERE: Readonly<Record<string, number>> = {
  // A search below a study that is not there finds nothing. PS3.18 §8.3.4
  'GET /dicom-web/studies/{study}/series': 200, 'GET /dicom-web/studies/{study}/instances': 200, 'GET /dicom-web/studies/{study}/series/{series}/instances': 200,
  // The matrix sends no parts, no offset, and no method to override.
  'POST /dicom-web/studies/{study}': 400, 'PATCH /api/v1/uploads/{id}': 400, 'POST /api/v1/uploads/{id}': 405, 'POST /api/v1/queues/{name}/pause': 403, 'POST /api/v1/queues/{name}/resume': 403,
};

/** What ends the caller's own sign-in would spoil the cells after it. */
function endsSignIn({ method, path }: DocumentedOperation): boolean {
  return method !== 'GET' && /\/session$|\/sessions$/.test(path);
}

interface Cell { caller: string; operation: string; status: number; wanted: string }

async function check(wrong: Cell[], operation: DocumentedOperation, path: string, caller: Caller, wanted: string, holds: (status: number) => boolean): Promise<string> {
  const { status, text } = await attempt(product, operation, path, caller);
  cells++;
  if (!holds(status) || status >= 500) wrong.push({ caller: caller.name, operation: `${operation.method} ${operation.path}`, status, wanted });
  return text;
}

describe('every operation of the API document', () => {
  it('says who may call it', () => {
    expect(operations.length).toBeGreaterThan(80);
    expect(operations.filter(({ access }) => access === undefined || !(['public', 'authenticated', ...PERMISSIONS] as string[]).includes(access))).toEqual([]);
  });

  it('refuses whoever shows no credential, or one that has expired, with 401', async () => {
    const wrong: Cell[] = [];
    for (const operation of operations.filter(({ access }) => access !== 'public')) {
      const path = filled(operation.path, fillings);
      for (const caller of [{ name: 'nobody', headers: {} }, expired, { name: 'a forger', headers: { authorization: 'Bearer eyJhbGciOiJub25lIn0.e30.' } }]) await check(wrong, operation, path, caller, '401', (status) => status === 401);
    }
    expect(wrong).toEqual([]);
  });

  it('answers 403 to every role that lacks its permission, and to keys of any other scope', async () => {
    const wrong: Cell[] = [];
    for (const operation of operations.filter(({ access }) => access !== 'public' && access !== 'authenticated')) {
      const path = filled(operation.path, fillings);
      const lacking = ROLES.filter((role) => !(ROLE_PERMISSIONS[role] as readonly string[]).includes(operation.access ?? '')).map((role) => tokens.get(role));
      const other = keys.get(PERMISSIONS.find((permission) => permission !== operation.access) ?? 'users:read');
      for (const caller of [...lacking, other]) if (caller) await check(wrong, operation, path, caller, '403', (status) => status === 403);
    }
    expect(wrong).toEqual([]);
  });

  it('shows nothing of an institution to another one: 404 for what has an id, and no foreign word in any body', async () => {
    const wrong: Cell[] = [];
    const leaks: string[] = [];
    for (const operation of operations.filter((one) => one.access !== 'public' && !endsSignIn(one))) {
      const path = filled(operation.path, fillings);
      // Models are shared by all institutions of an installation: nothing of anybody's is in there.
      const named = path !== operation.path && !path.startsWith("/api/v1/models");
      const text = await check(wrong, operation, path, foreign, named ? '404' : 'no 401', (status) => (named ? status === (ELSEWHERE[`${operation.method} ${operation.path}`] ?? 404) : status !== 401));
      // Their own record holds the ids that they have just asked for in vain.
      const ids = operation.path.startsWith('/api/v1/audit-events') ? secrets.filter((secret) => secret.includes('@') || secret === PATIENT) : secrets;
      for (const secret of ids) if (text.includes(secret)) leaks.push(`${operation.method} ${operation.path}: ${secret}`);
    }
    expect(leaks).toEqual([]);
    expect(wrong).toEqual([]);
  });

  it('lets in every role and key that holds its permission', async () => {
    const wrong: Cell[] = [];
    for (const operation of operations.filter((one) => one.access !== 'public' && !endsSignIn(one))) {
      // What changes something is asked about what is not there: the cells of other callers need it.
      const path = operation.method === 'GET' ? filled(operation.path, fillings) : nothing(operation.path);
      const holding = ROLES.filter((role) => operation.access === 'authenticated' || (ROLE_PERMISSIONS[role] as readonly string[]).includes(operation.access ?? '')).map((role) => tokens.get(role));
      const exact = keys.get((operation.access ?? '') as Permission);
      const empty = { ...operation, body: operation.body && { ...operation.body, example: {} } };
      for (const caller of [...holding, exact]) if (caller) await check(wrong, empty, path, caller, 'neither 401 nor 403', (status) => status !== 401 && status !== 403);
    }
    expect(wrong).toEqual([]);
  });

  it('was asked in hundreds of ways', () => {
    expect(cells).toBeGreaterThan(800);
  });
});
