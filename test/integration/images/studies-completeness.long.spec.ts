import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { dicomFile, type Element } from '../../support/dicom-builder.js';
import { eventually, startProduct, type Product } from '../../support/product.js';
import { upload, type StudyView } from './instances.js';

interface Receipt {
  reason: string;
  revision: number;
  instances: number;
  expectedInstances?: number;
  lateInstances?: number;
  series: { seriesInstanceUid: string; instances: number; expected?: number; missingInstanceNumbers?: number[]; missingSlices?: { afterMm: number; missing: number }[] }[];
}
type View = Omit<StudyView, 'completion'> & { completion: Receipt | null; earlierCompletions: Receipt[]; lateInstances: number; legalHold: boolean };

let product: Product;

// Nobody waits for silence here: whatever settles does so for another reason.
beforeAll(async () => { product = await startProduct({ env: { SETTLE_SECONDS: '3600' } }); });
afterAll(async () => { await product.stop(); });

const view = (uid: string): Promise<View> => product.json<View>(`/api/v1/studies/${uid}`);
const complete = (uid: string): Promise<View> => product.json<View>(`/api/v1/studies/${uid}/complete`, { method: 'POST' });
const settled = (uid: string, revision: number): Promise<View> => eventually(`revision ${String(revision)}`, async () => { const seen = await view(uid); return seen.state === 'complete' && seen.revision === revision && seen; });

/** An axial slice; the numbers are what the sender announces. */
function slice(uids: { study: string; series: string }, number: number, options: { zMm?: number; inSeries?: number; series?: number; inStudy?: number } = {}): Uint8Array {
  const elements: Element[] = [
    [0x00080018, 'UI', newDicomUid()], [0x0020000d, 'UI', uids.study], [0x0020000e, 'UI', uids.series], [0x00200013, 'IS', String(number)],
    ...(options.zMm === undefined ? [] : [[0x00200032, 'DS', `0\\0\\${String(options.zMm)}`], [0x00200037, 'DS', '1\\0\\0\\0\\1\\0']] satisfies Element[]),
    ...(options.series === undefined ? [] : [[0x00201206, 'IS', String(options.series)]] satisfies Element[]),
    ...(options.inStudy === undefined ? [] : [[0x00201208, 'IS', String(options.inStudy)]] satisfies Element[]),
    ...(options.inSeries === undefined ? [] : [[0x00201209, 'IS', String(options.inSeries)]] satisfies Element[]),
  ];
  return dicomFile(elements);
}
const newStudy = (): { study: string; series: string } => ({ study: newDicomUid(), series: newDicomUid() });

describe('a study whose sender says how much it sends', () => {
  it('settles as soon as all its instances are there, and not before', async () => {
    const uids = newStudy();
    const other = { study: uids.study, series: newDicomUid() };
    await upload(product, ['1', slice(uids, 1, { inStudy: 3 })], ['2', slice(uids, 2, { inStudy: 3 })]);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(await view(uids.study)).toMatchObject({ state: 'receiving', revision: 0, completion: null });
    await upload(product, ['3', slice(other, 1, { inStudy: 3 })]);
    expect((await settled(uids.study, 1)).completion).toMatchObject({ reason: 'expected-count', instances: 3, expectedInstances: 3 });
  });

  it('settles when all announced series have all their instances', async () => {
    const uids = newStudy();
    const other = { study: uids.study, series: newDicomUid() };
    await upload(product, ['1', slice(uids, 1, { series: 2, inSeries: 1 })], ['2', slice(other, 1, { series: 2, inSeries: 2 })]);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect((await view(uids.study)).state).toBe('receiving');
    await upload(product, ['3', slice(other, 2, { series: 2, inSeries: 2 })]);
    const { completion } = await settled(uids.study, 1);
    expect(completion).toMatchObject({ reason: 'expected-count', expectedSeries: 2 });
    expect(completion?.series.find(({ seriesInstanceUid }) => seriesInstanceUid === other.series)).toEqual({ seriesInstanceUid: other.series, instances: 2, expected: 2 });
  });

  it('is waited for when only a series has its bound, or when more came than was said', async () => {
    const [bounded, more] = [newStudy(), newStudy()];
    await upload(product, ['1', slice(bounded, 1, { inSeries: 1 })], ['2', slice(more, 1, { inStudy: 1 })], ['3', slice(more, 2, { inStudy: 1 })]);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect((await view(bounded.study)).state).toBe('receiving');
    const { completion, state } = await view(more.study);
    // Unless the tick fell between the two.
    expect(state).toBe('receiving');
    expect(completion?.instances ?? 1).toBe(1);
  });
});

describe('a completeness receipt', () => {
  it('says where slices are missing and what was not sent', async () => {
    const uids = newStudy();
    const present = [0, 2.5, 5, 12.5, 15];
    await upload(product, ...present.map((zMm, index) => [String(index), slice(uids, index + 1, { zMm, inSeries: 7 })] as const));
    expect((await complete(uids.study)).completion?.series).toEqual([{ seriesInstanceUid: uids.series, instances: 5, expected: 7, missingSlices: [{ afterMm: 5, missing: 2 }] }]);
  });

  it('is kept when more arrives, and the next one says how much came late', async () => {
    const uids = newStudy();
    await upload(product, ['1', slice(uids, 1)]);
    expect((await complete(uids.study)).completion).toMatchObject({ reason: 'explicit', revision: 1, instances: 1 });
    await upload(product, ['2', slice(uids, 2)], ['3', slice(uids, 3)]);
    expect(await view(uids.study)).toMatchObject({ state: 'receiving', revision: 1, lateInstances: 2, earlierCompletions: [] });
    const second = await complete(uids.study);
    expect(second).toMatchObject({ revision: 2, lateInstances: 0, completion: { reason: 'explicit', revision: 2, instances: 3, lateInstances: 2 } });
    expect(second.earlierCompletions).toMatchObject([{ reason: 'explicit', revision: 1, instances: 1 }]);
    expect(second.earlierCompletions[0]).not.toHaveProperty('lateInstances');
    await upload(product, ['4', slice(uids, 4)]);
    const third = await complete(uids.study);
    expect(third.completion).toMatchObject({ revision: 3, lateInstances: 1 });
    expect(third.earlierCompletions.map(({ revision }) => revision)).toEqual([1, 2]);
  });
});

describe('a legal hold', () => {
  const patch = (uid: string, legalHold: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    product.fetch(`/api/v1/studies/${uid}`, { method: 'PATCH', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ legalHold }) });

  it('keeps a study from being deleted until it is lifted', async () => {
    const uids = newStudy();
    await upload(product, ['1', slice(uids, 1)]);
    const path = `/api/v1/studies/${uids.study}`;
    const before = (await product.fetch(path)).headers.get('etag') ?? '';
    const held = await patch(uids.study, true, { 'if-match': before });
    expect(held.status).toBe(200);
    expect(await held.json()).toMatchObject({ legalHold: true });
    expect(held.headers.get('etag')).not.toBe(before);
    expect((await patch(uids.study, false, { 'if-match': before })).status).toBe(412);
    const refused = await product.fetch(path, { method: 'DELETE' });
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([409, 'study-on-hold']);
    expect((await patch(uids.study, false, { 'if-match': held.headers.get('etag') ?? '' })).status).toBe(200);
    expect((await product.fetch(path, { method: 'DELETE' })).status).toBe(204);
    expect((await product.fetch(path)).status).toBe(404);
  });

  it('is put on studies that are there, by a body that says so', async () => {
    expect((await patch(newDicomUid(), true)).status).toBe(404);
    const uids = newStudy();
    await upload(product, ['1', slice(uids, 1)]);
    expect((await patch(uids.study, 'yes')).status).toBe(400);
    expect((await product.fetch(`/api/v1/studies/${uids.study}`, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: '{}' })).status).toBe(400);
  });
});
