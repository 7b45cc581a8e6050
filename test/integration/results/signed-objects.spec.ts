import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { sequence, text } from '../../../src/imaging/dicom/attributes.js';
import type { DicomJson } from '../../../src/imaging/dicom/dicom-json.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import type { Finding } from '../../../src/imaging/report/finding.js';
import { trackingUidOf } from '../../../src/imaging/report/tracking.js';
import { indexToLps } from '../../../src/imaging/volume/geometry.js';
import { packLabels } from '../../../src/imaging/volume/packed-labels.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import type { StoredStudy } from '../../../src/modules/images/images.contract.js';
import type { DeliveryJson, DestinationJson } from '../../../src/modules/results/destinations/destinations-json.js';
import type { ResultJson } from '../../../src/modules/results/findings-json.js';
import { ResultRetentionJob } from '../../../src/modules/results/result-retention.job.js';
import type { NewResult, ObjectRef, ResultReviewed } from '../../../src/modules/results/results.contract.js';
import { SignedObjectsJob } from '../../../src/modules/results/signed/signed-objects.job.js';
import { SignedObjectsStore } from '../../../src/modules/results/signed/signed-objects.store.js';
import { isDue, SignedSources } from '../../../src/modules/results/signed/signed-source.service.js';
import { DerivedObjects } from '../../../src/modules/results/derived-objects.service.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { broken, missingCode, WRITERS } from '../../support/derived-writers.js';
import { chestCt } from '../../support/chest-ct.js';
import { ADMIN, eventually } from '../../support/product.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { ctStudy, noduleResult, writeWith } from './derived-house.js';
import { commitResult, type House } from './house.js';

let house: PatientHouse;
let words = 0;
beforeAll(async () => { house = await openPatientHouse({ ALLOWED_PRIVATE_HOSTS: '127.0.0.1' }); });
beforeEach(() => { writeWith(house, WRITERS); });
afterAll(async () => { await house.close(); });

const context = { jobId: '', topic: '', attempt: 1, signal: new AbortController().signal };
const job = (): SignedObjectsJob => house.app.get(SignedObjectsJob);
const objectsOf = async (id: string): Promise<ObjectRef[]> => (await house.system((client) => client.result.findUniqueOrThrow({ where: { id } }))).objects as unknown as ObjectRef[]; // as the store writes them
const versionsOf = async (id: string): Promise<string[]> => (await objectsOf(id)).map(({ kind, version }) => `${kind} ${String(version)}`);
const newStudy = (): Promise<StoredStudy> => ctStudy(house, `signed ${String(++words)}`);
const commit = (result: NewResult): Promise<string> => commitResult(house as unknown as House, result);
const post = (path: string, body: object): Promise<ResultJson> => house.json(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', 'if-match': '*' } });
const review = (id: string, ...decisions: object[]): Promise<ResultJson> => post(`/api/v1/results/${id}/reviews`, { decisions });
const amend = (id: string, ...decisions: object[]): Promise<ResultJson> => post(`/api/v1/results/${id}/amendments`, { reason: 'Seen again', decisions });
const sign = (id: string): Promise<ResultJson> => post(`/api/v1/results/${id}/sign-off`, { meaning: 'approved', password: ADMIN.password });
const read = async (id: string, kind: 'sr' | 'seg'): Promise<ReturnType<typeof parseInstanceBytes>> => parseInstanceBytes(new Uint8Array(await (await house.fetch(`/api/v1/results/${id}/${kind}.dcm`)).arrayBuffer()));
const made = (id: string, version: number): Promise<true> => eventually(`the objects of version ${String(version)}`, async () => (await objectsOf(id)).some((one) => one.version === version), 20_000);
const signedEvent = (result: ResultJson, version: number): ResultReviewed => ({ institutionId: house.institutionId, resultId: result.id, analysisId: result.analysisId, studyInstanceUid: result.studyInstanceUid, analysis: result.analysis, version, status: 'final', kind: 'sign-off' });
const trackingUids = ({ attributes }: { attributes: DicomJson }): string[] => sequence(attributes, 'SegmentSequence').map((segment) => text(segment, 'TrackingUID') ?? '');
const textsIn = (value: unknown): string => JSON.stringify(value);

/** Three nodules of 3 × 2 × 2 voxels side by side; the mask of the first is empty. */
function threeNodules(study: StoredStudy): NewResult {
  const one = noduleResult(house, study);
  const { affine } = chestCt({ size: [24, 20, 6], spacing: [12, 12, 5] });
  const [first] = one.findings;
  if (!one.segmentation || !first?.location) throw new Error('no nodule');
  const labels = new Uint8Array(24 * 20 * 6);
  const nodules = [4, 10, 17].map((from, n): Finding => {
    for (const k of [2, 3]) for (const j of [9, 10]) for (const i of [from, from + 1, from + 2]) labels[i + 24 * (j + 20 * k)] = n + 2;
    return { ...first, id: uuidv7(), location: { ...first.location, sopInstanceUid: first.location?.sopInstanceUid ?? '', frame: 1, center: [...indexToLps(affine, [from + 1, 9.5, 2.5])], box: [[...indexToLps(affine, [from - 0.5, 8.5, 1.5])], [...indexToLps(affine, [from + 2.5, 10.5, 3.5])]] } };
  });
  const { slices: _slices, packed: _packed, ...about } = one.segmentation;
  return {
    ...one, findings: nodules,
    segments: [{ number: 1, name: 'Nothing', volumeMl: 0 }, ...nodules.map((_, n) => ({ number: n + 2, name: `Nodule ${String(n + 1)}`, volumeMl: 8.64 }))],
    segmentation: packLabels({ ...about, labels, members: nodules.map((_, n) => ({ segment: n + 2, values: [n + 2] })) }),
  };
}

async function stowServer(): Promise<{ target: object; bodies: Buffer[]; close: () => void }> {
  const bodies: Buffer[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part)).on('end', () => { bodies.push(Buffer.concat(parts)); response.writeHead(200, { 'content-type': 'application/dicom+json' }).end('{}'); });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  // A server that listens at TCP has an address of that kind.
  return { target: { kind: 'stow', url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}` }, bodies, close: () => { server.close(); } };
}

describe('a sign-off', () => {
  it('makes a verified report that searches find, and sends it to those who want what is signed', async () => {
    const server = await stowServer();
    const destination = await house.json<DestinationJson>('/api/v1/destinations', { method: 'POST', body: JSON.stringify({ name: 'PACS', target: server.target, results: 'signed' }), headers: { 'content-type': 'application/json' } });
    const study = await newStudy();
    const id = await commit(noduleResult(house, study));
    expect(await versionsOf(id)).toEqual(['seg 1', 'sr 1']);
    const first = await read(id, 'sr');
    expect(text(first.attributes, 'VerificationFlag')).toBe('UNVERIFIED');
    const signed = await sign(id);
    await made(id, 2);
    const sr = await read(id, 'sr');
    expect([text(sr.attributes, 'VerificationFlag'), text(sr.attributes, 'PreliminaryFlag'), text(sr.attributes, 'InstanceNumber')]).toEqual(['VERIFIED', 'FINAL', '2']);
    const [observer] = sequence(sr.attributes, 'VerifyingObserverSequence');
    const institution = await house.system((client) => client.institution.findUniqueOrThrow({ where: { id: house.institutionId } }));
    expect([textsIn(observer?.['0040A075']), text(observer ?? {}, 'VerifyingOrganization')]).toEqual([expect.stringContaining(signed.review?.signOff?.name ?? 'nobody'), institution.name]);
    expect(textsIn(sr.attributes['0040A360'])).toContain(first.sopInstanceUid);
    expect(textsIn(sr.attributes['0040A375'])).toContain((await read(id, 'seg')).sopInstanceUid);
    const found = await house.json<DicomJson[]>(`/dicom-web/studies/${study.studyInstanceUid}/instances?Modality=SR&includefield=all`);
    expect(found.map((one) => text(one, 'SOPInstanceUID')).sort()).toEqual([first.sopInstanceUid, sr.sopInstanceUid].sort());
    expect(await house.json(`/api/v1/studies/${study.studyInstanceUid}`)).toMatchObject({ state: 'complete', instanceCount: 10, lateInstances: 0 });
    const delivery = await eventually('the delivery', async () => (await house.json<{ items: DeliveryJson[] }>(`/api/v1/destinations/${destination.id}/deliveries`)).items.find(({ state }) => state === 'delivered'), 20_000);
    expect(delivery).toMatchObject({ resultId: id, version: 2, state: 'delivered' });
    expect(server.bodies).toHaveLength(1);
    for (const { sopInstanceUid } of (await objectsOf(id)).filter(({ version }) => version === 2)) expect(server.bodies[0]?.includes(sopInstanceUid)).toBe(true);
    server.close();
  });

  it('leaves the ETag that whoever signed has seen', async () => {
    const id = await commit(noduleResult(house, await newStudy()));
    const path = `/api/v1/results/${id}`;
    await sign(id);
    const before = (await house.fetch(path)).headers.get('etag');
    await made(id, 2);
    expect((await house.fetch(path)).headers.get('etag')).toBe(before);
  });

  it('takes what was rejected out of the segmentation, and numbers what stays without gaps', async () => {
    const study = await newStudy();
    const result = threeNodules(study);
    const id = await commit(result);
    const [first, second, third] = result.findings.map((finding) => finding.id);
    const uidsOf = (...findings: (string | undefined)[]): string[] => findings.map((finding) => trackingUidOf(id, finding ?? ''));
    expect(trackingUids(await read(id, 'seg'))).toEqual(uidsOf(first, second, third));
    await review(id, { decision: 'reject', finding: first, reason: 'normal-anatomy' }, { decision: 'edit', finding: second, measurements: [{ name: 'volume', value: 20_000, unit: 'mm3' }] });
    await sign(id);
    await made(id, 3);
    const [seg, sr] = [await read(id, 'seg'), await read(id, 'sr')];
    expect(trackingUids(seg)).toEqual(uidsOf(second, third));
    expect(sequence(seg.attributes, 'SegmentSequence').map((segment) => [segment['00620004']?.Value?.[0], text(segment, 'SegmentLabel')])).toEqual([[1, 'Nodule 2'], [2, 'Nodule 3']]);
    expect(textsIn(sr.attributes)).not.toContain(uidsOf(first)[0]);
    const references = [...textsIn(sr.attributes).matchAll(/"0062000B":\{"vr":"US","Value":\[(\d+)\]/g)].map(([, number]) => Number(number));
    expect(references).toEqual([1, 2]);
    // Nothing that stands: a report that says so, and no segmentation.
    await amend(id, { decision: 'reject', finding: second, reason: 'artefact' }, { decision: 'reject', finding: third, reason: 'artefact' });
    await sign(id);
    await made(id, 5);
    expect(await versionsOf(id)).toEqual(['seg 1', 'sr 1', 'seg 3', 'sr 3', 'sr 5']);
    expect((await house.fetch(`/api/v1/results/${id}/seg.dcm`)).status).toBe(404);
    const { entry } = await house.json<{ entry: { resource: { id: string; resourceType: string } }[] }>(`/api/v1/results/${id}/fhir`);
    expect(entry.flatMap(({ resource }) => (resource.resourceType === 'DocumentReference' ? [resource.id] : []))).toEqual([`${id}.pdf`, `${id}.sr`]);
    expect(text((await read(id, 'sr')).attributes, 'VerificationFlag')).toBe('VERIFIED');
  });

  it('leaves nothing behind when retention takes the result', async () => {
    const study = await newStudy();
    // Nobody who is told of it holds it meanwhile.
    const id = await commitResult(house as unknown as House, noduleResult(house, study), []);
    await sign(id);
    await made(id, 2);
    await house.system(async (client) => {
      await client.result.update({ where: { id }, data: { createdAt: new Date(Date.now() - 40 * 86_400_000) } });
      await client.institution.update({ where: { id: house.institutionId }, data: { resultRetentionDays: 30 } });
    });
    await eventually('the retention', async () => {
      await house.app.get(ResultRetentionJob).handle({}, context);
      return (await house.system((client) => client.result.count({ where: { id } }))) === 0;
    });
    await house.system((client) => client.institution.update({ where: { id: house.institutionId }, data: { resultRetentionDays: null } }));
    expect(await house.json(`/api/v1/studies/${study.studyInstanceUid}`)).toMatchObject({ instanceCount: 6, seriesCount: 1 });
  });

  it('of an amendment makes a version that names the one before', async () => {
    const id = await commit(noduleResult(house, await newStudy()));
    await sign(id);
    await made(id, 2);
    const before = await read(id, 'sr');
    await amend(id, { decision: 'add', kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, measurements: [{ name: 'diameter', value: 12, unit: 'mm' }] });
    expect(await versionsOf(id)).toEqual(['seg 1', 'sr 1', 'seg 2', 'sr 2']);
    await sign(id);
    await made(id, 4);
    const after = await read(id, 'sr');
    const predecessors = textsIn(after.attributes['0040A360']);
    expect([text(after.attributes, 'InstanceNumber'), after.seriesInstanceUid, predecessors.includes(before.sopInstanceUid)]).toEqual(['4', before.seriesInstanceUid, true]);
  });

  it('makes objects of what persons say in every script, and of findings on other images', async () => {
    const study = await newStudy();
    const id = await commit(noduleResult(house, study));
    const [image] = study.series[0]?.instances ?? [];
    await review(id,
      { decision: 'add', kind: 'lesion', code: { system: 'X'.repeat(64), value: '9'.repeat(64), meaning: '结节 '.repeat(60) }, location: { sopInstanceUid: image?.sopInstanceUid, frame: 1 }, measurements: [{ name: 'Odd one', value: -1e9, unit: '公分' }], attributes: [{ name: 'zone', value: '左上', concept: { system: '院', value: '1', meaning: 'ö'.repeat(200) }, code: { system: 'Q', value: '2', meaning: '上' } }] },
      { decision: 'add', kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' } });
    await sign(id);
    await made(id, 3);
    expect(text((await read(id, 'sr')).attributes, 'VerificationFlag')).toBe('VERIFIED');
  });
});

describe('a job that makes the objects of a signed version', () => {
  it('does nothing twice, in whatever way it comes again', async () => {
    const id = await commit(noduleResult(house, await newStudy()));
    const signed = await sign(id);
    await made(id, 2);
    const objects = await objectsOf(id);
    await Promise.all(Array.from({ length: 4 }, () => job().handle(signedEvent(signed, 2), context)));
    // Two that both found nothing: the second one to commit leaves it at that.
    await house.system((client) => client.$executeRaw`UPDATE results SET objects = (SELECT jsonb_agg(o) FROM jsonb_array_elements(objects) o WHERE o ->> 'version' = '1') WHERE id = ${id}::uuid`);
    const source = await house.app.get(SignedSources).of(house.institutionId, id, 2);
    if (!source) throw new Error('nothing to make');
    const gate = await house.app.get(DerivedObjects).make(source.source);
    if (gate.kind !== 'passed') throw new Error('withheld');
    await house.system((client) => client.result.update({ where: { id }, data: { objects: objects.map((one) => ({ ...one })) } }));
    expect(await house.app.get(SignedObjectsStore).store(house.institutionId, source, gate.objects)).toEqual([]);
    expect(await objectsOf(id)).toEqual(objects);
    expect(await house.system((client) => client.instance.count({ where: { studyId: source.studyId, derived: true } }))).toBe(4);
    expect(gate.objects.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual(objects.filter(({ version }) => version === 2).map(({ sopInstanceUid }) => sopInstanceUid));
  });

  it('finishes what a crash has left undone', async () => {
    const store = vi.spyOn(house.app.get(SignedObjectsStore), 'store').mockRejectedValueOnce(new Error('crash')).mockRejectedValueOnce(new Error('crash'));
    const id = await commit(noduleResult(house, await newStudy()));
    await sign(id);
    await made(id, 2);
    expect(store.mock.calls.length).toBeGreaterThanOrEqual(3);
    expect(await versionsOf(id)).toEqual(['seg 1', 'sr 1', 'seg 2', 'sr 2']);
    store.mockRestore();
  });

  it('passes over what is gone, was reviewed only, or was signed anew since', async () => {
    const id = await commit(noduleResult(house, await newStudy()));
    const make = vi.spyOn(house.app.get(DerivedObjects), 'make');
    const reviewed = await review(id, { decision: 'accept', finding: (await house.json<ResultJson>(`/api/v1/results/${id}`)).findings[0]?.id });
    for (const event of [{ ...signedEvent(reviewed, 2), kind: 'review' }, signedEvent(reviewed, 2), signedEvent(reviewed, 9), { ...signedEvent(reviewed, 2), resultId: uuidv7() }, { ...signedEvent(reviewed, 2), institutionId: uuidv7() }]) await job().handle(event, context);
    expect(make).not.toHaveBeenCalled();
    const review_ = { kind: 'sign-off', by: '', at: '', findings: [], signOff: null, signedVersion: 4 } as const;
    expect([2, 3, 4, 5].map((version) => isDue({ status: 'amended', review: { ...review_, findings: [] }, objects: [] }, version))).toEqual([false, false, true, false]);
    make.mockRestore();
  });

  it.each([
    ['the gate finds a fault', () => { writeWith(house, broken(missingCode)); }, 'code'],
    ['an image was replaced since', async (study: StoredStudy) => { await house.system((client) => client.instance.update({ where: { id: study.series[0]?.instances[0]?.id ?? '' }, data: { sha256: 'f'.repeat(64) } })); }, 'reference'],
    ['an image is gone', async (study: StoredStudy) => { await house.system((client) => client.instance.delete({ where: { id: study.series[0]?.instances[0]?.id ?? '' } })); }, 'reference'],
  ])('leaves the result signed, with the objects it had, when %s', async (_, spoil, check) => {
    const study = await newStudy();
    const id = await commit(noduleResult(house, study));
    const before = await read(id, 'sr');
    const count = async (): Promise<number> => Number(new RegExp(`healthvision_signed_objects_refused_total\\{check="${check}"\\} (\\d+)`).exec(await metrics())?.[1] ?? 0);
    const told = await count();
    await spoil(study);
    expect((await sign(id)).status).toBe('final');
    await eventually('the refusal', async () => (await count()) > told, 20_000);
    expect(await versionsOf(id)).toEqual(['seg 1', 'sr 1']);
    expect((await read(id, 'sr')).sopInstanceUid).toBe(before.sopInstanceUid);
    expect(await house.json<ResultJson>(`/api/v1/results/${id}`)).toMatchObject({ status: 'final' });
  });
});

async function metrics(): Promise<string> {
  return house.app.get(Metrics).registry.metrics();
}
