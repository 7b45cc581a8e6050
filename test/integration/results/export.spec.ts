import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCsv } from '../../../src/cli/evaluation/csv.js';
import type { Finding } from '../../../src/imaging/report/finding.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { writeNothing } from './derived-house.js';
import { commitResult, conclusion, openHouse, uploadStudy, type House } from './house.js';

let house: House;
beforeAll(async () => {
  house = await openHouse();
  writeNothing(house);
});
afterAll(async () => { await house.close(); });

const nodule = (changes: Partial<Finding> = {}): Finding => ({
  id: uuidv7(), kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.93,
  location: { sopInstanceUid: '1.2.3', frame: 1, center: [-12.5, 3, 4] },
  measurements: [{ name: 'diameter', value: 8.4, unit: 'mm' }, { name: 'volume', value: 310, unit: 'mm3' }, { name: 'meanAttenuation', value: -120, unit: 'HU' }, { name: 'mass', value: 0.4, unit: 'g' }],
  attributes: [{ name: 'side', value: 'right' }, { name: 'lungRads', value: '4A' }],
  ...changes,
});

async function exported(query = ''): Promise<{ text: string; rows: Record<string, string>[]; headers: Headers }> {
  const response = await house.fetch(`/api/v1/results/export.csv${query}`);
  // `text()` would take the byte order mark away.
  const text = Buffer.from(await response.arrayBuffer()).toString('utf8');
  if (response.status !== 200) throw new Error(text);
  return { text, rows: parseCsv(text), headers: response.headers };
}

describe('GET /api/v1/results/export.csv', () => {
  it('has a line for each finding, and one for a result without', async () => {
    const study = await uploadStudy(house, 1);
    const two = await commitResult(house, conclusion(house, study, { analysis: 'lung-nodule-detection', labels: [], heatMaps: [], findings: [nodule(), nodule({ kind: '=cmd|\' /C calc\'!A0', measurements: [] })] }));
    const none = await commitResult(house, conclusion(house, study, { labels: [], heatMaps: [] }));
    const { text, rows, headers } = await exported();
    expect([headers.get('content-type'), headers.get('content-disposition')]).toEqual(['text/csv; charset=utf-8', 'attachment; filename="findings.csv"']);
    expect(text.startsWith('\ufeffresultId,')).toBe(true);
    expect(text.endsWith('\r\n')).toBe(true);
    expect(rows.map(({ resultId, number }) => [resultId, number])).toEqual([[two, '1'], [two, '2'], [none, '']]);
    const patient = await house.owner.patient.findFirstOrThrow();
    expect(rows[0]).toMatchObject({
      analysis: 'lung-nodule-detection', status: 'preliminary', patientId: patient.id, studyInstanceUid: study.study.studyInstanceUid, model: 'chest-xray-pneumonia', kind: 'nodule', code: '27925004', score: '0.93',
      side: 'right', lungRads: '4A', diameterMm: '8.4', volumeMl: '0.31', meanAttenuationHu: '-120', centerX: '-12.5', otherMeasurements: 'mass=0.4 g',
    });
    expect(rows[1]?.kind).toMatch(/^'=cmd/);
    expect(text).not.toContain('P1,');
  });

  it('says what persons made of findings', async () => {
    const study = await uploadStudy(house, 4);
    const [kept, gone] = [nodule(), nodule()];
    const id = await commitResult(house, conclusion(house, study, { analysis: 'lung-nodule-detection', labels: [], heatMaps: [], findings: [kept, gone] }));
    const decisions = [
      { decision: 'edit', finding: kept.id, measurements: [{ name: 'diameter', value: 9, unit: 'mm' }] }, { decision: 'reject', finding: gone.id, reason: 'artefact' },
      { decision: 'add', kind: 'nodule', code: kept.code, measurements: [{ name: 'diameter', value: 5, unit: 'mm' }] },
    ];
    expect((await house.fetch(`/api/v1/results/${id}/reviews`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': '*' }, body: JSON.stringify({ decisions }) })).status).toBe(201);
    const rows = (await exported()).rows.filter(({ resultId }) => resultId === id);
    expect(rows.map(({ review, rejectionReason, score, diameterMm }) => [review, rejectionReason, score, diameterMm])).toEqual([['edited', '', '0.93', '9'], ['rejected', 'artefact', '0.93', '8.4'], ['added', '', '', '5']]);
    await house.owner.result.delete({ where: { id } });
  });

  it('keeps to the period and the analysis, and says which parameter is wrong', async () => {
    expect((await exported(`?from=${new Date(Date.now() + 60_000).toISOString()}`)).rows).toEqual([]);
    expect((await exported('?analysis=lung-nodule-detection')).rows).toHaveLength(2);
    expect((await exported(`?to=${new Date(Date.now() + 60_000).toISOString()}`)).rows).toHaveLength(3);
    expect((await house.fetch('/api/v1/results/export.csv?from=yesterday')).status).toBe(400);
    expect((await fetch(`${house.url}/api/v1/results/export.csv`)).status).toBe(401);
  });

  it('shows nothing of what is withheld, nor of others', async () => {
    const study = await uploadStudy(house, 2);
    const id = await commitResult(house, conclusion(house, study, { findings: [nodule()], labels: [], heatMaps: [], summary: { text: '', critical: true } }));
    await house.owner.result.update({ where: { id }, data: { status: 'withheld' } });
    expect((await exported()).rows.filter(({ resultId }) => resultId === id)).toMatchObject([{ status: 'withheld', findingId: '', critical: '', kind: '' }]);
    await house.owner.result.update({ where: { id }, data: { institutionId: uuidv7() } });
    expect((await exported()).rows.some(({ resultId }) => resultId === id)).toBe(false);
  });

  it('goes through many pages without losing or repeating one, and has each study on record', async () => {
    const study = await uploadStudy(house, 3);
    const { institutionId, studyId, studyInstanceUid, analysis, summary, provenance } = conclusion(house, study);
    const at = new Date(Date.now() - 3_600_000);
    const row = (): object => ({ id: uuidv7(), institutionId, analysisId: uuidv7(), studyId, studyInstanceUid, analysis, summary, findings: [], labels: [], segments: [], provenance, rendering: { keyImage: null, heatMaps: [] }, createdAt: at });
    // All of one moment: the place in the list hangs on the id alone.
    await house.owner.result.createMany({ data: Array.from({ length: 620 }, row) as never });
    const before = await house.owner.auditEvent.count({ where: { action: 'exportFindings' } });
    const { rows } = await exported(`?to=${new Date(Date.now() - 1_800_000).toISOString()}`);
    expect(new Set(rows.map(({ resultId }) => resultId)).size).toBe(620);
    expect(rows).toHaveLength(620);
    const events = await house.owner.auditEvent.findMany({ where: { action: 'exportFindings', studyInstanceUids: { has: studyInstanceUid } } });
    expect(events.length).toBeGreaterThanOrEqual(3);
    expect(await house.owner.auditEvent.count({ where: { action: 'exportFindings' } })).toBe(before + 4);
  });
});
