import { createPublicKey, verify, type webcrypto } from 'node:crypto';
import type { Bundle, CapabilityStatement, DiagnosticReport, ImagingStudy, Observation, Patient, Provenance, Resource } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { canonicalJson } from '../../../src/platform/http/canonical-json.js';
import { FHIR_TYPES } from '../../../src/modules/results/fhir/search-parameters.js';
import type { NewResult } from '../../../src/modules/results/results.contract.js';
import { faultsOf } from '../../support/fhir-validators.js';
import { ENDED } from '../../support/flow.js';
import { ADMIN, eventually } from '../../support/product.js';
import { grayPng, uploadForm } from '../../support/xray.js';
import { openFhirHouse, smartClient, type FhirHouse } from './fhir-house.js';

const model = (digit: string): NewResult['provenance'] => ({
  model: { name: `model-${digit}`, version: '1.0.0', digest: `sha256:${digit.repeat(64)}` }, software: '1.0.0', inputDigest: `sha256:${'1'.repeat(64)}`, executionProvider: 'cpu', startedAt: '2026-11-21T09:59:58.000Z', finishedAt: '2026-11-21T10:00:00.000Z',
});
const nodule = (id = uuidv7()): NewResult['findings'][number] => ({
  id, kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.93,
  location: { frameOfReferenceUid: '1.2.3', center: [1, 2, 3], sopInstanceUid: '1.2.3.4', frame: 1 },
  measurements: [{ name: 'diameter', value: 8.4, unit: 'mm' }, { name: 'volume', value: 310, unit: 'mm3' }],
  attributes: [{ name: 'side', value: 'left' }, { name: 'zone', value: 'upper' }],
});
const lung = (findings: NewResult['findings']): Partial<NewResult> => ({ analysis: 'lung-nodule-detection', findings, labels: [], heatMaps: [], segments: [{ number: 1, name: 'Nodule 1', volumeMl: 0.31 }], provenance: model('a') });

let house: FhirHouse;
/** Of each kind: the result, and its study. */
let xray: { result: string; study: string };
let ct: { result: string; study: string; findings: string[] };
let mr: { result: string; study: string };
let patientId: string;

async function analysed(): Promise<{ result: string; study: string }> {
  const { items } = await house.json<{ items: { studyInstanceUid: string }[] }>('/api/v1/images', { method: 'POST', body: uploadForm([{ name: 'x.png', bytes: await grayPng(1) }], { patientId: 'FHIR-0', patientAge: '4', patientSex: 'F', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA' }) });
  const study = items[0]?.studyInstanceUid ?? '';
  await eventually('a model', async () => (await house.json<{ items: { state: string }[] }>('/api/v1/models')).items.some(({ state }) => state === 'active'));
  const { id } = await house.json<{ id: string }>('/api/v1/analyses', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ analysis: 'chest-xray-classification', studyInstanceUid: study }) });
  const run = await eventually('the end of the analysis', async () => {
    const view = await house.json<{ status: string; resultId?: string }>(`/api/v1/analyses/${id}`);
    return ENDED.includes(view.status) && view;
  });
  return { result: run.resultId ?? JSON.stringify(run), study };
}

beforeAll(async () => {
  house = await openFhirHouse();
  xray = await analysed();
  const chest = await house.sendChinese('FHIR-1', [[0x00080050, 'SH', 'ACC-7']]);
  const findings = [nodule(), nodule()];
  ct = { result: await house.conclude(chest, lung(findings)), study: chest, findings: findings.map(({ id }) => id) };
  const { studyInstanceUid: head } = await house.send({ patientId: 'FHIR-2', name: 'Doe^John', date: '20260401', modality: 'MR' });
  mr = { study: head, result: await house.conclude(head, {
    analysis: 'brain-tumour-segmentation', labels: [], heatMaps: [], segments: [{ number: 1, name: 'Whole tumour', volumeMl: 41.2 }], provenance: model('b'),
    findings: [{ id: uuidv7(), kind: 'tumour', code: { system: 'SNOMED-CT', value: '108369006', meaning: 'Neoplasm' }, score: 0.99, measurements: [{ name: 'volume', value: 41.2, unit: 'ml' }] }],
  }) };
  patientId = await house.patientOf('FHIR-1');
});
afterAll(async () => { await house.close(); });

const ids = ({ entry = [] }: Bundle): string[] => entry.map(({ resource }) => `${resource?.resourceType ?? ''}/${resource?.id ?? ''}`);
const matched = ({ entry = [] }: Bundle): Resource[] => entry.filter(({ search }) => search?.mode === 'match').flatMap(({ resource }) => resource ?? []);
const linkOf = ({ link = [] }: Bundle, relation: string): string | undefined => link.find((one) => one.relation === relation)?.url.replace(`${house.url}/fhir/`, '');

/** Everything, page by page. */
async function all(path: string): Promise<Resource[]> {
  const found: Resource[] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const page = await house.bundle(next);
    expect(faultsOf(page)).toEqual([]);
    found.push(...matched(page));
    next = linkOf(page, 'next');
  }
  return found;
}

describe('the FHIR resources of one study of each kind', () => {
  it.each(['X-ray', 'CT', 'MR'])('of the %s are valid in both validators, alone and as the Bundle of the result', async (kind) => {
    const { result } = kind === 'X-ray' ? xray : kind === 'CT' ? ct : mr;
    for (const language of ['en', 'zh-CN']) {
      const response = await house.fetch(`/api/v1/results/${result}/fhir`, { headers: { 'accept-language': language } });
      expect(response.headers.get('content-type')).toBe('application/fhir+json; fhirVersion=4.0; charset=utf-8');
      const bundle = (await response.json()) as Bundle;
      expect(faultsOf(bundle)).toEqual([]);
      expect(new Set(bundle.entry?.map(({ resource }) => resource?.resourceType))).toEqual(new Set(FHIR_TYPES));
      for (const { resource } of bundle.entry ?? []) {
        expect(faultsOf(resource), JSON.stringify(resource)).toEqual([]);
        const alone = await house.get(`${resource?.resourceType ?? ''}/${resource?.id ?? ''}`, { 'accept-language': language });
        expect(alone.body).toEqual(resource);
      }
      // Everything that is referred to is there.
      const there = new Set(ids(bundle));
      const references = [...JSON.stringify(bundle).matchAll(/"reference":"([A-Z][A-Za-z]+\/[^"]+)"/g)].map(([, reference = '']) => reference);
      expect(references.filter((reference) => !there.has(reference))).toEqual([]);
    }
  });

  it('tell of the patient in each script', async () => {
    const { body } = await house.get<Patient>(`Patient/${patientId}`);
    expect(body).toMatchObject({ gender: 'female', birthDate: '1972-03-04', identifier: [{ value: 'FHIR-1' }], name: [{ family: 'Wang', given: ['XiaoDong'] }, { text: '王小东' }] });
  });

  it('tell of the study and its instances', async () => {
    const [found] = matched(await house.bundle(`ImagingStudy?identifier=urn:dicom:uid|urn:oid:${ct.study}`)) as ImagingStudy[];
    expect(found).toMatchObject({ meta: { tag: [{ code: 'SUBSETTED' }] }, started: '2026-01-03T10:15:00+08:00', numberOfInstances: 2, subject: { reference: `Patient/${patientId}` } });
    // The SR of the result is an instance of the study as well.
    expect(new Set(found?.series?.map(({ modality }) => modality.code))).toEqual(new Set(['CT', 'SR']));
    const { body } = await house.get<ImagingStudy>(`ImagingStudy/${found?.id ?? ''}`);
    expect(body.series?.map(({ instance }) => instance?.length)).toEqual([1, 1]);
    expect(body.meta?.tag).toBeUndefined();
  });

  it('speak the language of the reader, each with an ETag of its own', async () => {
    const english = await house.get<DiagnosticReport>(`DiagnosticReport/${ct.result}`);
    const chinese = await house.get<DiagnosticReport>(`DiagnosticReport/${ct.result}`, { 'accept-language': 'zh-CN' });
    expect(english.body.conclusion).toContain('2 nodules');
    expect(chinese.body).toMatchObject({ language: 'zh-CN' });
    expect(chinese.body.conclusion).toContain('结节');
    expect(english.headers.get('etag')).toBe(`W/"${english.body.meta?.versionId ?? ''}"`);
    expect(english.headers.get('last-modified')).toBe(new Date(english.body.meta?.lastUpdated ?? '').toUTCString());
    expect(english.headers.get('vary')).toContain('Accept-Language');
    const etag = english.headers.get('etag') ?? '';
    expect(await house.get(`DiagnosticReport/${ct.result}`, { 'if-none-match': etag })).toMatchObject({ status: 304, text: '' });
    expect((await house.get(`DiagnosticReport/${ct.result}`, { 'if-none-match': etag, 'accept-language': 'zh-CN' })).status).toBe(200);
    const head = await house.fetch(`/fhir/DiagnosticReport/${ct.result}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('etag'), await head.text()]).toEqual([200, etag, '']);
  });
});

describe('a search', () => {
  it('finds reports by patient, study, date, status, code and identifier', async () => {
    const [study] = matched(await house.bundle(`ImagingStudy?patient=${patientId}`));
    const own = [`DiagnosticReport/${ct.result}`];
    for (const query of [
      `patient=${patientId}`, `subject=Patient/${patientId}`, `subject:Patient=${patientId}`, `patient=${house.url}/fhir/Patient/${patientId}`, `study=${study?.id ?? ''}`, `study=ImagingStudy/${study?.id ?? ''}`, 'date=2026-01-03', 'date=ge2026-01-03&date=lt2026-02', 'date=2026-01-03T11:00:00Z',
      'code=24627-2', 'code=http://loinc.org|24627-2', `identifier=urn:uuid:${ct.result}`, `_id=${ct.result},${uuidv7()}`, `result=${ct.findings[1] ?? ''}`, `patient=${patientId}&status=preliminary,final&category=RAD`, `patient=${patientId},${uuidv7()}&_lastUpdated=gt2020`,
    ]) expect(ids(await house.bundle(`DiagnosticReport?${query}`)), query).toEqual(own);
    for (const query of [
      `patient=${uuidv7()}`, `subject=ImagingStudy/${patientId}`, 'date=2026-01-04', 'date=2025', 'code=http://snomed.info/sct|24627-2', 'code=18748-4', `_id=${ct.result}&_id=${xray.result}`, `patient=${patientId}&status=final`, `patient=${patientId}&category=LAB`, `patient=${patientId}&_lastUpdated=lt2020`,
      `patient=${patientId}&issued=ne2026&issued=lt2020`,
    ]) expect((await house.bundle(`DiagnosticReport?${query}`)).entry, query).toBeUndefined();
  });

  it('finds observations by patient, code, study, device and date', async () => {
    const own = ct.findings.map((id) => `Observation/${id}`);
    const [study] = matched(await house.bundle(`ImagingStudy?patient=${patientId}`));
    for (const query of [`patient=${patientId}`, 'code=27925004', 'code=http://snomed.info/sct|27925004', `derived-from=ImagingStudy/${study?.id ?? ''}`, `device=Device/${'a'.repeat(64)}`, 'date=2026-01-03&category=imaging', `_id=${ct.findings.join(',')}`]) expect(ids(await house.bundle(`Observation?${query}`)), query).toEqual(own);
    for (const query of ['code=http://loinc.org|27925004', 'code=|27925004', `patient=${patientId}&code=1`, `_id=${ct.result}`, `device=${'c'.repeat(64)}`]) expect((await house.bundle(`Observation?${query}`)).entry, query).toBeUndefined();
    expect(matched(await house.bundle('Observation?code=http://snomed.info/sct|')).length).toBeGreaterThanOrEqual(3);
  });

  it('finds studies by accession and patients by identifier, and names neither in a link', async () => {
    for (const [query, wanted] of [['ImagingStudy?identifier=ACC-7', 1], ['ImagingStudy?identifier=urn:healthvision:accession-number|ACC-7', 1], [`ImagingStudy?identifier=ACC-7,urn:oid:${mr.study}`, 2], ['Patient?identifier=FHIR-1', 1], ['Patient?identifier=urn:healthvision:patient-id|FHIR-1', 1], ['Patient?identifier=urn:other|FHIR-1', 0], ['Patient?identifier=NOBODY-5', 0], ['ImagingStudy?identifier=NOTHING-5', 0]] as const) {
      const bundle = await house.bundle(query);
      expect(matched(bundle), query).toHaveLength(wanted);
      expect(JSON.stringify(bundle.link), query).not.toMatch(/ACC-7|FHIR-1|NOBODY|NOTHING/);
      // The link finds the same.
      expect(ids(await house.bundle(linkOf(bundle, 'self') ?? ''))).toEqual(ids(bundle));
    }
    expect(ids(await house.bundle(`ImagingStudy?started=2026-01-03&modality=CT&status=available&_lastUpdated=ge2026-01-01`))).toHaveLength(1);
    expect((await house.bundle('ImagingStudy?status=registered')).entry).toBeUndefined();
  });

  it('finds documents, provenance and devices', async () => {
    expect(ids(await house.bundle(`DocumentReference?patient=${patientId}`))).toEqual([`DocumentReference/${ct.result}.pdf`, `DocumentReference/${ct.result}.sr`]);
    expect(ids(await house.bundle(`DocumentReference?patient=${patientId}&contenttype=application/dicom&status=current`))).toEqual([`DocumentReference/${ct.result}.sr`]);
    for (const target of [`DiagnosticReport/${ct.result}`, `Observation/${ct.findings[0] ?? ''}`, `DocumentReference/${ct.result}.pdf`]) expect(ids(await house.bundle(`Provenance?target=${target}`)), target).toEqual([`Provenance/${ct.result}`]);
    expect((await house.bundle(`Provenance?target=DiagnosticReport/${uuidv7()}`)).entry).toBeUndefined();
    expect(ids(await house.bundle(`Provenance?agent=Device/${'b'.repeat(64)}`))).toEqual([`Provenance/${mr.result}`]);
    expect(ids(await house.bundle(`Device?identifier=sha256:${'a'.repeat(64)}`))).toEqual([`Device/${'a'.repeat(64)}`]);
    expect(ids(await house.bundle('Device?device-name=MODEL-'))).toEqual([`Device/${'a'.repeat(64)}`, `Device/${'b'.repeat(64)}`]);
  });

  it('includes what is referred to', async () => {
    const bundle = await house.bundle(`DiagnosticReport?_id=${ct.result}&_include=DiagnosticReport:result&_include=DiagnosticReport:patient&_include=DiagnosticReport:study:ImagingStudy`);
    expect(faultsOf(bundle)).toEqual([]);
    expect(bundle.entry?.map(({ resource, search }) => `${search?.mode ?? ''} ${resource?.resourceType ?? ''}`)).toEqual(['match DiagnosticReport', 'include Observation', 'include Observation', 'include Patient', 'include ImagingStudy']);
    const devices = await house.bundle(`Observation?patient=${patientId}&_include=Observation:device`);
    expect(ids(devices).at(-1)).toBe(`Device/${'a'.repeat(64)}`);
  });

  it('goes page by page, each resource once, newest first', async () => {
    const { studyInstanceUid } = await house.send({ patientId: 'FHIR-PAGES' });
    const results = [];
    for (let n = 0; n < 5; n++) results.push(await house.conclude(studyInstanceUid, lung(Array.from({ length: n }, () => nodule()))));
    const patient = await house.patientOf('FHIR-PAGES');
    for (const [type, wanted] of [['DiagnosticReport', 5], ['Observation', 10], ['DocumentReference', 10], ['Provenance', 5]] as const) {
      for (const count of [1, 3, 4, 200, 100_000]) {
        const found = (await all(`${type}?patient=${patient}&_count=${String(count)}`)).map(({ id }) => id);
        expect(new Set(found).size, `${type} ${String(count)}`).toBe(wanted);
        expect(found).toHaveLength(wanted);
      }
    }
    expect((await all(`DiagnosticReport?patient=${patient}&_count=2`)).map(({ id }) => id)).toEqual(results.reverse());
    expect((await all('Device?_count=1')).map(({ id }) => id)).toEqual((await all('Device')).map(({ id }) => id));
    expect((await all('Patient?_count=1')).length).toBe((await all('Patient')).length);
    expect((await all('ImagingStudy?_count=1')).length).toBe((await all('ImagingStudy')).length);
  });

  it('can be made with a form, where the patient stands in nobody’s log', async () => {
    const response = await house.fetch('/fhir/Patient/_search', { method: 'POST', body: new URLSearchParams({ identifier: 'FHIR-1' }) });
    expect(response.status).toBe(200);
    expect(ids((await response.json()) as Bundle)).toEqual([`Patient/${patientId}`]);
    expect(((await (await house.fetch('/fhir/Observation/_search', { method: 'POST' })).json()) as Bundle).type).toBe('searchset');
  });
});

describe('who may read', () => {
  it('is a SMART backend client with the right scope, and none without', async () => {
    const tokenFor = await smartClient(house, ['results:read', 'images:read']);
    const reports = await tokenFor('system/DiagnosticReport.rs');
    expect(reports.status).toBe(200);
    expect((await house.get(`DiagnosticReport/${ct.result}`, reports.headers)).status).toBe(200);
    expect((await house.get('DiagnosticReport', reports.headers)).status).toBe(200);
    // The permission behind the scope is that of Observations, too; the scope is not.
    for (const path of [`Observation/${ct.findings[0] ?? ''}`, 'Observation', 'Patient', `Patient/${patientId}`, 'ImagingStudy', 'Device']) {
      const { status, body, headers } = await house.outcome(path, reports.headers);
      expect([status, body.resourceType, body.issue[0]?.code, headers.get('content-type')], path).toEqual([403, 'OperationOutcome', 'forbidden', 'application/fhir+json; fhirVersion=4.0; charset=utf-8']);
      expect(faultsOf(body)).toEqual([]);
    }
    // Nor by way of another resource.
    expect(ids((await house.get<Bundle>(`DiagnosticReport?_id=${ct.result}&_include=DiagnosticReport:result&_include=DiagnosticReport:patient`, reports.headers)).body)).toEqual([`DiagnosticReport/${ct.result}`]);
    const whole = (await (await house.fetch(`/api/v1/results/${ct.result}/fhir`, { headers: reports.headers })).json()) as Bundle;
    expect(ids(whole)).toEqual([`DiagnosticReport/${ct.result}`]);
    // By id alone, and by search alone.
    const byId = await tokenFor('system/Observation.r');
    expect([(await house.get(`Observation/${ct.findings[0] ?? ''}`, byId.headers)).status, (await house.get('Observation', byId.headers)).status]).toEqual([200, 403]);
    const bySearch = await tokenFor('system/Observation.s');
    expect([(await house.get(`Observation/${ct.findings[0] ?? ''}`, bySearch.headers)).status, (await house.get('Observation', bySearch.headers)).status]).toEqual([403, 200]);
    const everything = await tokenFor('system/*.read');
    expect([(await house.get('Observation', everything.headers)).status, (await house.get('ImagingStudy', everything.headers)).status, (await house.get('Patient', everything.headers)).status]).toEqual([200, 200, 403]);
    expect((await tokenFor('system/Patient.rs')).status).toBe(400);
    const plain = await tokenFor('results:read');
    expect([(await house.get('Observation', plain.headers)).status, (await house.get('ImagingStudy', plain.headers)).status]).toEqual([200, 403]);
  });

  it('is no one without a token', async () => {
    for (const path of ['Patient', `DiagnosticReport/${ct.result}`, 'Unknown', 'Unknown/1']) {
      const response = await fetch(`${house.url}/fhir/${path}`);
      expect(response.status, path).toBe(401);
      expect(response.headers.get('www-authenticate')).toContain('Bearer');
      expect(faultsOf(await response.json())).toEqual([]);
    }
  });

  it('is no one of another institution', async () => {
    const stranger = { authorization: (await house.person('admin', 'elsewhere')).authorization };
    const bundle = (await (await house.fetch(`/api/v1/results/${ct.result}/fhir`)).json()) as Bundle;
    for (const reference of ids(bundle)) expect((await house.get(reference, stranger)).status, reference).toBe(404);
    expect((await house.fetch(`/api/v1/results/${ct.result}/fhir`, { headers: stranger })).status).toBe(404);
    for (const query of [...FHIR_TYPES, 'Patient?identifier=FHIR-1', 'ImagingStudy?identifier=ACC-7', `DiagnosticReport?patient=${patientId}`, `Observation?_cursor=${ct.result}.0`, `DiagnosticReport?_cursor=${ct.result}`]) {
      const { status, text } = await house.get(query, stranger);
      expect(status, query).toBe(200);
      expect(text).not.toContain(ct.study);
      expect((JSON.parse(text) as Bundle).entry, query).toBeUndefined();
    }
  });

  it('is put on record with the studies and patients that were shown', async () => {
    await house.get(`DiagnosticReport/${mr.result}`);
    await house.get(`Patient?identifier=FHIR-1`);
    const { items } = await house.json<{ items: { action: string; studyInstanceUids: string[]; patientIds: string[] }[] }>('/api/v1/audit-events?limit=20');
    expect(items.find(({ action }) => action === 'readFhirDiagnosticReport')?.studyInstanceUids).toEqual([mr.study]);
    expect(items.find(({ action }) => action === 'searchFhirPatient')?.patientIds).toEqual([patientId]);
    const observed = await house.get(`Observation?patient=${patientId}`);
    expect(observed.status).toBe(200);
    const { items: later } = await house.json<{ items: { action: string; studyInstanceUids: string[] }[] }>('/api/v1/audit-events?limit=20');
    expect([...new Set(later.find(({ action }) => action === 'searchFhirObservation')?.studyInstanceUids)]).toEqual([ct.study]);
  });
});

describe('a result that a person signed', () => {
  const signOff = async (id: string): Promise<number> => {
    const path = `/api/v1/results/${id}`;
    const post = async (what: string, body: object): Promise<Response> => {
      const etag = (await house.fetch(path)).headers.get('etag') ?? '';
      return house.fetch(`${path}/${what}`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': etag }, body: JSON.stringify(body) });
    };
    const { findings } = await house.json<{ findings: { id: string; score: number }[] }>(path);
    const isReviewed = (await post('reviews', { decisions: [
      { decision: 'reject', finding: findings[0]?.id, reason: 'artefact' },
      { decision: 'add', kind: 'nodule', code: { system: 'SNOMED-CT', value: '786838002', meaning: 'Ground glass nodule' }, measurements: [{ name: 'diameter', value: 12, unit: 'mm' }] },
    ] })).status;
    expect(isReviewed).toBe(201);
    return (await post('sign-off', { meaning: 'approved', password: ADMIN.password })).status;
  };

  it('says what stands, who signed, and has both signatures', async () => {
    const { studyInstanceUid } = await house.send({ patientId: 'FHIR-SIGNED' });
    const [rejected, kept] = [nodule(), nodule()];
    const id = await house.conclude(studyInstanceUid, lung([rejected, kept]));
    const [before] = matched(await house.bundle(`DiagnosticReport?_id=${id}`)) as DiagnosticReport[];
    expect(before).toMatchObject({ status: 'preliminary' });
    expect(before).not.toHaveProperty('resultsInterpreter');
    expect(await signOff(id)).toBe(200);

    const bundle = (await (await house.fetch(`/api/v1/results/${id}/fhir`)).json()) as Bundle;
    expect(faultsOf(bundle)).toEqual([]);
    for (const { resource } of bundle.entry ?? []) expect(faultsOf(resource), JSON.stringify(resource)).toEqual([]);
    const report = bundle.entry?.[0]?.resource as DiagnosticReport;
    expect(report).toMatchObject({ status: 'final', resultsInterpreter: [{ display: 'Administrator' }], conclusion: '2 nodules, largest 12 mm' });
    const observations = bundle.entry?.flatMap(({ resource }) => (resource?.resourceType === 'Observation' ? [resource] : [])) ?? [];
    const added = observations.find(({ device }) => device === undefined);
    expect(observations.map((one) => one.id)).toEqual([kept.id, added?.id]);
    expect(observations.every(({ status }) => status === 'final')).toBe(true);

    // By its own id, by its code and by the report that has it; the rejected one is not to be had.
    expect((await house.get<Observation>(`Observation/${added?.id ?? ''}`)).body).toEqual(added);
    expect(ids(await house.bundle('Observation?code=786838002'))).toEqual([`Observation/${added?.id ?? ''}`]);
    expect(ids(await house.bundle(`DiagnosticReport?result=${added?.id ?? ''}`))).toEqual([`DiagnosticReport/${id}`]);
    expect((await house.get(`Observation/${rejected.id}`)).status).toBe(404);
    expect((await house.bundle(`DiagnosticReport?result=${rejected.id}`)).entry).toBeUndefined();
    const patient = await house.patientOf('FHIR-SIGNED');
    expect(ids(await house.bundle(`Observation?patient=${patient}&device=${'a'.repeat(64)}`))).toEqual([`Observation/${kept.id}`]);
    expect(ids(await house.bundle(`DiagnosticReport?patient=${patient}&status=final`))).toEqual([`DiagnosticReport/${id}`]);

    // What was signed can be checked with the installation's keys.
    const { body } = await house.get<Provenance>(`Provenance/${id}`);
    expect(body.agent.map(({ type }) => type?.coding?.[0]?.code)).toEqual(['author', 'assembler', 'verifier']);
    expect(body.agent[2]).toMatchObject({ who: { display: 'Administrator' }, onBehalfOf: { display: 'Default institution' } });
    const { statement, publicKey } = await house.json<{ statement: object; publicKey: webcrypto.JsonWebKey }>(`/api/v1/results/${id}/provenance`);
    const { items } = await house.json<{ items: { signOff?: { signed: object } }[] }>(`/api/v1/results/${id}/versions`);
    const key = createPublicKey({ key: publicKey, format: 'jwk' });
    const statements = [statement, items[0]?.signOff?.signed ?? {}];
    expect(body.signature?.map(({ data = '' }, at) => verify(null, Buffer.from(canonicalJson(statements[at])), key, Buffer.from(data, 'base64')))).toEqual([true, true]);
  });

  it('is amended when it was opened and signed again', async () => {
    const { studyInstanceUid } = await house.send({ patientId: 'FHIR-AMENDED' });
    const id = await house.conclude(studyInstanceUid, lung([nodule()]));
    expect(await signOff(id)).toBe(200);
    const etag = (await house.fetch(`/api/v1/results/${id}`)).headers.get('etag') ?? '';
    expect((await house.fetch(`/api/v1/results/${id}/amendments`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': etag }, body: JSON.stringify({ reason: 'A vessel after all' }) })).status).toBe(201);
    // What nobody has signed yet is nobody's.
    expect((await house.get<DiagnosticReport>(`DiagnosticReport/${id}`)).body).not.toHaveProperty('resultsInterpreter');
    expect((await house.get<Provenance>(`Provenance/${id}`)).body.signature).toHaveLength(1);
    expect(await signOff(id)).toBe(200);
    const { body } = await house.get<DiagnosticReport>(`DiagnosticReport/${id}`);
    expect(body).toMatchObject({ status: 'amended', resultsInterpreter: [{ display: 'Administrator' }] });
    expect((await house.get<Provenance>(`Provenance/${id}`)).body).toMatchObject({ activity: { coding: [{ code: 'UPDATE' }] }, signature: [{}, {}] });
  });
});

describe('a result that the gate withheld', () => {
  it('is nowhere in FHIR, and its Bundle says why', async () => {
    const { studyInstanceUid } = await house.send({ patientId: 'FHIR-WITHHELD' });
    const finding = nodule();
    const id = await house.conclude(studyInstanceUid, lung([finding]));
    const patient = await house.patientOf('FHIR-WITHHELD');
    expect((await house.get(`DiagnosticReport/${id}`)).status).toBe(200);
    await house.system((client) => client.result.update({ where: { id }, data: { status: 'withheld' } }));
    for (const path of [`DiagnosticReport/${id}`, `Observation/${finding.id}`, `DocumentReference/${id}.pdf`, `Provenance/${id}`]) expect((await house.get(path)).status, path).toBe(404);
    for (const type of ['DiagnosticReport', 'Observation', 'DocumentReference', 'Provenance']) expect((await house.bundle(`${type}?patient=${patient}`)).entry, type).toBeUndefined();
    const answer = await house.fetch(`/api/v1/results/${id}/fhir`);
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([409, 'result-withheld']);
  });
});

describe('what is not understood', () => {
  it('is ignored with a warning, or refused when the caller is strict', async () => {
    const lenient = await house.bundle(`DiagnosticReport?_id=${ct.result}&_sort=date&nonsense=x`);
    expect(faultsOf(lenient)).toEqual([]);
    expect(lenient.entry?.map(({ search }) => search?.mode)).toEqual(['match', 'outcome']);
    expect(linkOf(lenient, 'self')).toBe(`DiagnosticReport?_id=${ct.result}&_count=50`);
    const { status, body } = await house.outcome(`DiagnosticReport?_id=${ct.result}&_sort=date&nonsense=x`, { prefer: 'handling=strict' });
    expect([status, body.issue.map(({ expression }) => expression?.[0])]).toEqual([400, ['_sort', 'nonsense']]);
  });

  it.each([
    ['Observation?date=yesterday', 400], ['Observation?date=2026-13', 400], ['Observation?date=2026-02-30', 400], ['Observation?date=ap2026', 400], ['Observation?date=', 400], ['Observation?_count=0', 400], ['Observation?_count=-1', 400], ['Observation?_count=1e9', 400], ['Observation?_count=1&_count=2', 400],
    ['Observation?_cursor=x', 400], [`Observation?_cursor=${uuidv7()}`, 400], [`DiagnosticReport?_cursor=${'a'.repeat(64)}`, 400], [`DiagnosticReport?_cursor=${'-'.repeat(36)}`, 400], ['Device?_cursor=0', 400], ['Patient?_id=a%20b', 400], [`DiagnosticReport?patient='; DROP TABLE results; --`, 400],
    ['DiagnosticReport?patient=http://elsewhere.example/fhir/Patient/1', 400], ['DiagnosticReport?patient:Observation=1', 400], ['DiagnosticReport?patient.name=x', 200], ['DiagnosticReport?status:not=final', 400], ['DiagnosticReport?patient=Group/1', 400], [`Observation?code=${'x,'.repeat(200)}x`, 400],
    [`Observation?code=${encodeURIComponent("' OR 1=1 --")}`, 200], ['Observation?code=%22%5D%7D', 200], ['Observation?code=%5C', 200], ['Observation?code=|', 200], ['Patient?identifier=%F0%9F%92%A9%EF%BF%BF%ED%A0%80', 200], ['Patient?__proto__=x&constructor=y&toString=z', 200], ['Patient?_id=none', 200], ['Patient?identifier=|', 200],
    ['DiagnosticReport?_count=999999999', 200], ['DiagnosticReport?_include=*&_include=__proto__:x', 200], ['Device?device-name=%25', 200], ['Device?identifier=%00', 400], ['DiagnosticReport?date=ge0001-01-01&date=lt9999-12-31T23:59:59.999Z', 200], ['DiagnosticReport?_lastUpdated=9999', 200], ['DiagnosticReport?_lastUpdated=0001-01-01T00:00:00+14:00', 200],
    ['Patient/_search', 404], [`Patient/${uuidv7()}`, 404], ['Patient/%2e%2e', 404], [`Patient/${'x'.repeat(3_000)}`, 404], ['Observation/%27', 404], [`Observation/${uuidv7()}.label.0`, 404], [`DocumentReference/${uuidv7()}.exe`, 404], [`Device/${'f'.repeat(64)}`, 404], ['Encounter', 404], ['Encounter/1', 404], [`Patient/${uuidv7()}/_history`, 404], ['patient', 404], ['constructor/1', 404], ['', 404],
  ] as const)('%s is answered with %i', async (path, wanted) => {
    const { status, body } = await house.get(path);
    expect(status).toBe(wanted);
    expect(body.resourceType).toBe(wanted === 200 ? 'Bundle' : 'OperationOutcome');
    expect(faultsOf(body)).toEqual([]);
  });

  it('is every other format and version', async () => {
    for (const accept of ['application/fhir+xml', 'text/html', 'application/fhir+json; fhirVersion=5.0', 'application/fhir+json;q=0']) expect((await house.get('metadata', { accept })).status, accept).toBe(406);
    for (const accept of ['application/fhir+json; fhirVersion=4.0', 'application/json', '*/*', 'text/html, application/fhir+json;q=0.5']) expect((await house.get('metadata', { accept })).status, accept).toBe(200);
    expect([(await house.get('Patient?_format=xml')).status, (await house.get('Patient?_format=json', { accept: 'application/xml' })).status, (await house.get('Patient?_format=application/fhir+json')).status]).toEqual([406, 200, 200]);
  });

  it('is every change', async () => {
    for (const [method, path] of [['POST', 'Patient'], ['PUT', `Patient/${patientId}`], ['DELETE', `DiagnosticReport/${ct.result}`], ['PATCH', `DiagnosticReport/${ct.result}`], ['POST', '']] as const) {
      const response = await house.fetch(`/fhir/${path}`, { method, ...(method !== 'DELETE' && { headers: { 'content-type': 'application/json' }, body: '{}' }) });
      expect([response.status, ((await response.json()) as { resourceType: string }).resourceType], `${method} ${path}`).toEqual([405, 'OperationOutcome']);
    }
  });
});

describe('what is odd in the data', () => {
  it('is shown all the same: a study of nobody, labels without codes, numbers that are none', async () => {
    const { studyInstanceUid } = await house.send({ date: 'tomorrow', modality: 'C T' });
    const id = await house.conclude(studyInstanceUid, {
      findings: [{ ...nodule(), measurements: [{ name: '', value: 1e300, unit: '' }], attributes: [{ name: 'x'.repeat(2_000), value: '\u0001' }] }],
      labels: [{ name: '', probability: 0, threshold: 1, positive: false }, { name: '<b>"', probability: 1, threshold: 0, positive: true }], heatMaps: [],
      provenance: { ...model('c'), model: { name: ' ', version: '', digest: 'none' } },
    });
    const bundle = (await (await house.fetch(`/api/v1/results/${id}/fhir`)).json()) as Bundle;
    for (const { resource } of bundle.entry ?? []) expect(faultsOf(resource), JSON.stringify(resource)).toEqual([]);
    expect(bundle.entry?.some(({ resource }) => resource?.resourceType === 'Patient')).toBe(false);
  });

  it('leaves the study when its key was destroyed, without its patient', async () => {
    const uid = await house.sendChinese('FHIR-KEY');
    const patient = await house.patientOf('FHIR-KEY');
    await house.conclude(uid, lung([nodule()]));
    await house.system((client) => client.studyKey.deleteMany({ where: { studyInstanceUid: uid } }));
    const study = matched(await house.bundle(`ImagingStudy?patient=${patient}`))[0] as ImagingStudy;
    const report = matched(await house.bundle(`DiagnosticReport?patient=${patient}`))[0] as DiagnosticReport;
    for (const resource of [study, report]) expect(faultsOf(resource)).toEqual([]);
  });
});

describe('GET /fhir/metadata', () => {
  it('is open, valid, and names exactly what can be searched', async () => {
    const response = await fetch(`${house.url}/fhir/metadata`);
    const statement = (await response.json()) as CapabilityStatement;
    expect(faultsOf(statement)).toEqual([]);
    expect(statement.rest?.[0]?.resource?.map(({ type }) => type)).toEqual([...FHIR_TYPES]);
    for (const { type = '', searchParam = [] } of statement.rest?.[0]?.resource ?? []) {
      const values: Record<string, string> = { date: '2026-01-01', token: 'x', reference: type === 'Provenance' ? `DiagnosticReport/${ct.result}` : '1', string: 'x' };
      for (const { name = '', type: kind = '' } of searchParam) {
        const value = name === 'agent' ? '1' : values[kind] ?? '';
        expect((await house.get(`${type}?${name}=${value}`, { prefer: 'handling=strict' })).status, `${type} ${name}`).toBe(200);
      }
    }
  });
});

describe('an Observation of a label', () => {
  it('is read by the id that the report names', async () => {
    const report = (await house.get<DiagnosticReport>(`DiagnosticReport/${xray.result}`)).body;
    expect(report.result?.length).toBeGreaterThan(0);
    for (const { reference = '' } of report.result ?? []) {
      const { status, body } = await house.get<Observation>(reference);
      expect(status).toBe(200);
      expect(body.code.coding?.[0]?.system ?? 'none').toMatch(/snomed|none/);
    }
    const { body } = await house.get<Provenance>(`Provenance/${xray.result}`);
    expect(body.target).toHaveLength(1 + (report.result?.length ?? 0) + 2);
  });
});
