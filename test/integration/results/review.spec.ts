import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import type { Finding } from '../../../src/imaging/report/finding.js';
import type { ResultJson } from '../../../src/modules/results/findings-json.js';
import { isSignedBy, outputDigestOf, type PublicJwk } from '../../../src/modules/results/provenance/signed-statement.js';
import { RESULT_REVIEWED, StudyResults } from '../../../src/modules/results/results.contract.js';
import type { FullVersionJson, VersionJson } from '../../../src/modules/results/review/review-json.js';
import { ADMIN, eventually } from '../../support/product.js';
import { commitResult, conclusion, openHouse, uploadStudy, type House } from './house.js';

let house: House;
beforeAll(async () => { house = await openHouse(); });
afterAll(async () => { await house.close(); });

interface Reply<T> { status: number; headers: Headers; body: T & { code?: string; errors?: { pointer: string; detail: string }[] } }

async function call<T = ResultJson>(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Reply<T>> {
  const response = await house.fetch(path, { method, headers: { ...(body && { 'content-type': 'application/json' }), ...headers }, ...(body && { body: JSON.stringify(body) }) });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Reply<T>['body'] };
}

const nodule = (diameter: number, sopInstanceUid: string, changes: Partial<Finding> = {}): Finding => ({
  id: uuidv7(), kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.9,
  location: { frameOfReferenceUid: '1.2.3', center: [10, 20, 30], sopInstanceUid, frame: 1 },
  measurements: [{ name: 'diameter', value: diameter, unit: 'mm' }, { name: 'volume', value: 310, unit: 'mm3' }], ...changes,
});

interface Made { id: string; path: string; findings: Finding[]; sopInstanceUid: string; etag: string }

async function made(seed: number): Promise<Made> {
  const study = await uploadStudy(house, seed);
  const { sopInstanceUid } = study.instance;
  const findings = [nodule(8.4, sopInstanceUid), nodule(4.1, sopInstanceUid)];
  const id = await commitResult(house, conclusion(house, study, { analysis: 'lung-nodule-detection', findings, heatMaps: [] }), []);
  const path = `/api/v1/results/${id}`;
  return { id, path, findings, sopInstanceUid, etag: (await call('GET', path)).headers.get('etag') ?? '' };
}

const review = (result: Made, decisions: object[], etag = result.etag, headers: Record<string, string> = {}): Promise<Reply<ResultJson>> => call('POST', `${result.path}/reviews`, { decisions }, { 'if-match': etag, ...headers });
const sign = (result: Made, etag: string, more: object = { password: ADMIN.password }): Promise<Reply<ResultJson>> => call('POST', `${result.path}/sign-off`, { meaning: 'approved', ...more }, { 'if-match': etag });

describe('a review', () => {
  it('changes what the result says, and keeps what the model made', async () => {
    const result = await made(100);
    const [first, second] = result.findings;
    const answer = await review(result, [
      { decision: 'edit', finding: first?.id, measurements: [{ name: 'diameter', value: 9, unit: 'mm' }], attributes: [{ name: 'lungRads', value: '4A' }], location: { ...first?.location, center: [12, 20, 30] }, comment: '结节 spiculated' },
      { decision: 'reject', finding: second?.id, reason: 'normal-anatomy', comment: 'a vessel' },
      { decision: 'add', kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, measurements: [{ name: 'diameter', value: 12, unit: 'mm' }] },
      { decision: 'label', label: 'Pneumonia', agrees: false },
    ]);
    expect(answer.status).toBe(201);
    const { body, headers } = await call('GET', result.path);
    expect(body).toEqual(answer.body);
    expect(headers.get('etag')).toBe(answer.headers.get('etag'));
    expect(headers.get('etag')).not.toBe(result.etag);
    expect(body.findings.map(({ review: made_, measurements }) => [made_?.state, made_?.reason, measurements[0]?.value])).toEqual([['edited', undefined, 9], ['rejected', 'normal-anatomy', 4.1], ['added', undefined, 12]]);
    expect(body.findings[0]).toMatchObject({ location: { center: [12, 20, 30] }, measurements: [{ name: 'diameter', value: 9 }, { name: 'volume', value: 310 }], attributes: [{ name: 'lungRads', value: '4A' }] });
    expect(body.labels[0]).toMatchObject({ name: 'Pneumonia', positive: false, probability: 0.93, review: { state: 'disagreed', version: 2 } });
    expect(body.summary.text).toBe('2 nodules, largest 12 mm');
    expect(body.status).toBe('preliminary');
    expect(body.review).toMatchObject({ version: 2, kind: 'review', signedVersion: null });

    const original = (await call<FullVersionJson>('GET', `${result.path}/versions/1`)).body;
    expect(original).toMatchObject({ version: 1, kind: 'analysis', by: null });
    expect(original.findings).toEqual(result.findings);
    expect(original.labels[0]).toMatchObject({ positive: true });
    const second_ = (await call<FullVersionJson>('GET', `${result.path}/versions/2`)).body;
    expect(second_.findings).toEqual(body.findings);
    const reviews = (await call<{ items: VersionJson[] }>('GET', `${result.path}/reviews`)).body.items;
    expect(reviews).toHaveLength(1);
    expect(reviews[0]?.decisions[0]).toMatchObject({ decision: 'edit', comment: '结节 spiculated' });
    expect(reviews[0]?.by?.name).not.toBe('');
    expect((await call('GET', `${result.path}/versions/3`)).body.code).toBe('result-version-not-found');
  });

  it('keeps what was said in words encrypted', async () => {
    const result = await made(101);
    await review(result, [{ decision: 'reject', finding: result.findings[0]?.id, reason: 'other', comment: 'Zhang San has a scar here' }]);
    const rows = await house.owner.resultVersion.findMany({ where: { resultId: result.id } });
    const row = await house.owner.result.findUniqueOrThrow({ where: { id: result.id } });
    expect(JSON.stringify([rows.map(({ sealed: _, ...rest }) => rest), row], (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))).not.toContain('Zhang');
    expect(Buffer.from(rows[0]?.sealed ?? []).includes('Zhang')).toBe(false);
    // The patient gets to see them.
    const shown: object[] = [];
    for await (const one of house.app.get(StudyResults).ofStudy(house.institutionId, row.studyInstanceUid, 'en')) shown.push(one);
    expect(shown).toMatchObject([{ id: result.id, versions: [{ version: 2, decisions: [{ comment: 'Zhang San has a scar here' }] }] }]);
  });

  it('needs the version that was seen, and refuses a stale one', async () => {
    const result = await made(102);
    const decisions = [{ decision: 'accept', finding: result.findings[0]?.id }];
    const blind = await call('POST', `${result.path}/reviews`, { decisions });
    expect([blind.status, blind.body.code]).toEqual([428, 'precondition-required']);
    const answer = await review(result, decisions);
    expect(answer.status).toBe(201);
    const stale = await review(result, decisions);
    expect([stale.status, stale.body.code]).toEqual([412, 'precondition-failed']);
    // The tag of the other language names the same version.
    const chinese = (await call('GET', result.path, undefined, { 'accept-language': 'zh-CN' })).headers.get('etag') ?? '';
    expect(chinese).not.toBe(answer.headers.get('etag'));
    expect((await review(result, decisions, chinese)).status).toBe(201);
  });

  it('lets one of many at once win', async () => {
    const result = await made(103);
    const statuses = await Promise.all(result.findings.flatMap(({ id }) => [0, 1, 2].map(() => review(result, [{ decision: 'accept', finding: id }])))).then((all) => all.map(({ status }) => status).sort());
    expect(statuses).toEqual([201, 412, 412, 412, 412, 412]);
    expect((await call<{ items: VersionJson[] }>('GET', `${result.path}/versions`)).body.items.map(({ version }) => version)).toEqual([2, 1]);
  });

  it('is taken as a whole or not at all, and says what is wrong with it', async () => {
    const result = await made(104);
    const [first] = result.findings;
    const refused: [object[], string][] = [
      [[], '/decisions'],
      [[{ decision: 'accept', finding: uuidv7() }], '/decisions/0/finding'],
      [[{ decision: 'accept', finding: first?.id }, { decision: 'reject', finding: first?.id, reason: 'artefact' }], '/decisions/1'],
      [[{ decision: 'reject', finding: first?.id, reason: 'other' }], '/decisions/0/comment'],
      [[{ decision: 'reject', finding: first?.id, reason: 'bored' }], '/decisions/0/reason'],
      [[{ decision: 'edit', finding: first?.id }], '/decisions/0'],
      [[{ decision: 'edit', finding: first?.id, measurements: [{ name: 'diameter', value: 1, unit: 'cm' }] }], '/decisions/0/measurements/0/unit'],
      [[{ decision: 'edit', finding: first?.id, measurements: [{ name: 'diameter', value: -1, unit: 'mm' }] }], '/decisions/0/measurements/0/value'],
      [[{ decision: 'edit', finding: first?.id, location: { ...first?.location, center: [100, 20, 30] } }], '/decisions/0/location/center'],
      [[{ decision: 'edit', finding: first?.id, location: { ...first?.location, frame: 2 } }], '/decisions/0/location/frame'],
      [[{ decision: 'add', kind: 'nodule', code: first?.code, location: { sopInstanceUid: '1.2.3', frame: 1 } }], '/decisions/0/location/sopInstanceUid'],
      [[{ decision: 'label', label: 'Plague', agrees: true }], '/decisions/0/label'],
      [[{ decision: 'segment', segment: 4, agrees: true }], '/decisions/0/segment'],
      [[{ decision: 'accept', finding: first?.id, colour: 'red' }], '/decisions/0/colour'],
      [[{ decision: 'eat', finding: first?.id }], '/decisions/0/decision'],
      [Array.from({ length: 501 }, () => ({ decision: 'add', kind: 'nodule', code: first?.code })), '/decisions'],
    ];
    for (const [decisions, pointer] of refused) {
      const { status, body } = await review(result, decisions);
      expect([status, body.code, body.errors?.map((error) => error.pointer).includes(pointer) === true ? pointer : body.errors], JSON.stringify(decisions).slice(0, 200)).toEqual([400, 'invalid-body', pointer]);
    }
    expect((await call('GET', result.path)).headers.get('etag')).toBe(result.etag);
  });

  it('is made once for an Idempotency-Key', async () => {
    const result = await made(105);
    const decisions = [{ decision: 'accept', finding: result.findings[0]?.id }];
    const first = await review(result, decisions, result.etag, { 'idempotency-key': 'review-105' });
    const again = await review(result, decisions, result.etag, { 'idempotency-key': 'review-105' });
    expect([first.status, again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 201, 'true']);
    expect(again.body).toEqual(first.body);
  });

  it('takes a label and the finding that shows it together', async () => {
    const study = await uploadStudy(house, 106);
    const code = { system: 'SNOMED-CT', value: '233604007', meaning: 'Pneumonia' };
    const finding = nodule(1, study.instance.sopInstanceUid, { kind: 'label', code, score: 0.93, measurements: [] });
    const id = await commitResult(house, conclusion(house, study, { findings: [finding] }), []);
    const { body } = await call('POST', `/api/v1/results/${id}/reviews`, { decisions: [{ decision: 'label', label: 'Pneumonia', agrees: false }, { decision: 'label', label: 'Effusion', agrees: false }] }, { 'if-match': '*' });
    expect(body.findings[0]?.review).toMatchObject({ state: 'rejected', reason: 'not-present' });
    expect(body.summary.text).toBe('Effusion');
    const { body: back } = await call('POST', `/api/v1/results/${id}/reviews`, { decisions: [{ decision: 'accept', finding: finding.id }] }, { 'if-match': '*' });
    expect([back.labels[0]?.review?.state, back.labels[0]?.positive, back.summary.text]).toEqual(['agreed', true, 'Pneumonia 93 %, Effusion']);
  });

  it('is told of, and needs the permission', async () => {
    const result = await made(107);
    await review(result, [{ decision: 'accept', finding: result.findings[0]?.id }]);
    await eventually('the notification', async () => (await house.owner.notification.count({ where: { topic: RESULT_REVIEWED, subject: { path: ['resultId'], equals: result.id } } })) === 1);
    const key = await call<{ key: string }>('POST', '/api/v1/api-keys', { name: 'reader', scopes: ['results:read'] });
    const response = await fetch(`${house.url}${result.path}/reviews`, { method: 'POST', headers: { 'x-api-key': key.body.key, 'content-type': 'application/json', 'if-match': '*' }, body: JSON.stringify({ decisions: [{ decision: 'accept', finding: result.findings[0]?.id }] }) });
    expect(response.status).toBe(403);
  });

  it('leaves withheld results, and those of others, alone', async () => {
    const result = await made(108);
    await house.owner.result.update({ where: { id: result.id }, data: { status: 'withheld' } });
    const decisions = [{ decision: 'accept', finding: result.findings[0]?.id }];
    expect((await review(result, decisions, '*')).body.code).toBe('result-withheld');
    expect((await sign(result, '*')).body.code).toBe('result-withheld');
    await house.owner.result.update({ where: { id: result.id }, data: { status: 'preliminary', institutionId: uuidv7() } });
    expect((await review(result, decisions, '*')).body.code).toBe('result-not-found');
    expect((await sign(result, '*')).body.code).toBe('result-not-found');
  });
});

describe('a sign-off', () => {
  it('locks the result, lets stand what nobody decided, and only amendments change it', async () => {
    const result = await made(110);
    const [first, second] = result.findings;
    const reviewed = await review(result, [{ decision: 'reject', finding: second?.id, reason: 'artefact' }]);
    const signed = await sign(result, reviewed.headers.get('etag') ?? '', { password: ADMIN.password, statement: 'Seen with Dr. Li', meaning: 'responsible' });
    expect([signed.status, signed.body.status]).toEqual([200, 'final']);
    expect(signed.body.review).toMatchObject({ version: 3, kind: 'sign-off', signedVersion: 3, signOff: { meaning: 'responsible' } });
    expect(signed.body.findings.map(({ review: made_ }) => [made_?.state, made_?.bySignOff])).toEqual([['accepted', true], ['rejected', undefined]]);
    const etag = signed.headers.get('etag') ?? '';
    for (const again of [await review(result, [{ decision: 'accept', finding: first?.id }], etag), await sign(result, etag)]) expect([again.status, again.body.code]).toEqual([409, 'result-signed']);

    expect((await call('POST', `${result.path}/amendments`, { decisions: [] }, { 'if-match': etag })).body.errors?.[0]?.pointer).toBe('/reason');
    expect((await call('POST', `${result.path}/amendments`, { reason: 'x'.repeat(10) })).status).toBe(428);
    const amended = await call('POST', `${result.path}/amendments`, { reason: 'It is no artefact', decisions: [{ decision: 'accept', finding: second?.id }] }, { 'if-match': etag });
    expect([amended.status, amended.body.status, amended.body.review?.signedVersion, amended.body.review?.signOff]).toEqual([201, 'preliminary', 3, undefined]);
    expect((await call('POST', `${result.path}/amendments`, { reason: 'Once more' }, { 'if-match': '*' })).body.code).toBe('result-not-signed');
    const more = await review(result, [{ decision: 'edit', finding: second?.id, measurements: [{ name: 'diameter', value: 5, unit: 'mm' }] }], amended.headers.get('etag') ?? '');
    const anew = await sign(result, more.headers.get('etag') ?? '');
    expect([anew.body.status, anew.body.review?.version, anew.body.review?.signedVersion]).toEqual(['amended', 6, 6]);

    const versions = (await call<{ items: VersionJson[]; nextCursor: string | null }>('GET', `${result.path}/versions`)).body;
    expect(versions.items.map(({ version, kind, status }) => [version, kind, status])).toEqual([
      [6, 'sign-off', 'amended'], [5, 'review', 'preliminary'], [4, 'amendment', 'preliminary'], [3, 'sign-off', 'final'], [2, 'review', 'preliminary'], [1, 'analysis', 'preliminary']]);
    expect(versions.items[2]?.reason).toBe('It is no artefact');
    expect(versions.items[3]?.signOff).toMatchObject({ meaning: 'responsible', statement: 'Seen with Dr. Li', proof: 'password' });
    const third = (await call<FullVersionJson>('GET', `${result.path}/versions/3`)).body;
    expect(third.findings).toEqual(signed.body.findings);
    // The signature is over who signed what, and verifies by the published key.
    const { signed: statement, signature } = third.signOff ?? { signed: {}, signature: undefined };
    const { keys } = (await call<{ keys: (PublicJwk & { kid: string })[] }>('GET', '/api/v1/audit-events/keys')).body;
    const jwk = keys.find(({ kid }) => kid === signature?.keyId);
    if (!signature || !jwk) throw new Error('no signature, or not by a published key');
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
    expect(isSignedBy(statement, signature, key)).toBe(true);
    expect(isSignedBy({ ...statement, name: 'Somebody else' }, signature, key)).toBe(false);
    expect(statement).toMatchObject({ resultId: result.id, version: 3, contentDigest: outputDigestOf(third), meaning: 'responsible', proof: 'password' });
    expect(third.signOff?.contentDigest).toBe(outputDigestOf(third));
    const pages: number[] = [];
    for (let cursor = ''; ;) {
      const page = (await call<{ items: VersionJson[]; nextCursor: string | null }>('GET', `${result.path}/versions?limit=5${cursor}`)).body;
      pages.push(...page.items.map(({ version }) => version));
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    expect(pages).toEqual([6, 5, 4, 3, 2, 1]);
  });

  it('is for one of two at once', async () => {
    const result = await made(111);
    const answers = await Promise.all([sign(result, result.etag), sign(result, result.etag)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    // Whoever names no version in particular is still told that it is signed.
    const result2 = await made(112);
    const any = await Promise.all([sign(result2, '*'), sign(result2, '*'), sign(result2, '*')]);
    expect(any.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
    expect(await house.owner.resultVersion.count({ where: { resultId: result2.id } })).toBe(1);
  });

  it('asks persons for proof, and nobody else', async () => {
    const result = await made(113);
    expect((await sign(result, result.etag, {})).body.code).toBe('invalid-body');
    expect((await sign(result, result.etag, { password: 'a', code: '123456' })).body.code).toBe('invalid-body');
    expect((await sign(result, result.etag, { code: '123456' })).body.code).toBe('second-factor-invalid');
    const wrong = await sign(result, result.etag, { password: 'wrong' });
    expect([wrong.status, wrong.body.code]).toEqual([422, 'password-incorrect']);
    const key = await call<{ key: string }>('POST', '/api/v1/api-keys', { name: 'signer', scopes: ['results:read', 'results:review'] });
    const response = await fetch(`${house.url}${result.path}/sign-off`, { method: 'POST', headers: { 'x-api-key': key.body.key, 'content-type': 'application/json', 'if-match': '*' }, body: JSON.stringify({ password: ADMIN.password }) });
    expect(response.status).toBe(403);
    expect((await call('GET', result.path)).body.status).toBe('preliminary');
    expect((await sign(result, result.etag)).status).toBe(200);
  });

  it('goes with its result, and cannot be rewritten', async () => {
    const result = await made(114);
    await sign(result, result.etag);
    const row = await house.owner.result.findUniqueOrThrow({ where: { id: result.id } });
    expect((await house.fetch(`/api/v1/studies/${row.studyInstanceUid}`, { method: 'DELETE' })).status).toBe(204);
    await eventually('the purge', async () => (await house.owner.result.count({ where: { id: result.id } })) === 0);
    expect(await house.owner.resultVersion.count({ where: { resultId: result.id } })).toBe(0);
    const [held] = await house.owner.$queryRaw<{ updates: boolean; inserts: boolean }[]>`
      SELECT bool_or(privilege_type = 'UPDATE') AS updates, bool_or(privilege_type = 'INSERT') AS inserts FROM information_schema.role_table_grants WHERE table_name = 'result_versions' AND grantee LIKE '%app%'`;
    expect(held).toEqual({ updates: false, inserts: true });
  });
});
