import { describe, expect, it } from 'vitest';
import { eventOf, type AuditDraft } from './audit-event.js';
import { fhirAuditEvent } from './audit-fhir.js';

const PERSON = '0198c0de-0000-7000-8000-000000000001';
const PATIENT = '0198c0de-0000-7000-8000-0000000000aa';
const draft: AuditDraft = {
  institutionId: '0198c0de-0000-7000-8000-000000000000', actorKind: 'user', actorId: PERSON, userId: PERSON, role: 'radiologist', source: '10.1.2.3', action: 'getStudy', outcome: 'succeeded', status: 200,
  patientIds: [PATIENT], studyInstanceUids: ['1.2.3'], requestId: 'request-1', details: { route: 'GET /api/v1/studies/:studyInstanceUid' },
};
const at = Date.UTC(2026, 10, 21, 10);

describe('fhirAuditEvent', () => {
  it('says who looked at which patient and study, from where', () => {
    const event = fhirAuditEvent(eventOf(draft, at));
    expect(event).toMatchObject({
      resourceType: 'AuditEvent', type: { code: 'rest' }, subtype: [{ code: 'getStudy' }], action: 'R', recorded: '2026-11-21T10:00:00.000Z', outcome: '0',
      agent: [{ who: { identifier: { value: `urn:uuid:${PERSON}` } }, requestor: true, network: { address: '10.1.2.3', type: '2' }, role: [{ text: 'radiologist' }] }],
      source: { site: draft.institutionId },
    });
    expect(event.entity?.map(({ what }) => what)).toEqual([{ reference: `Patient/${PATIENT}` }, { identifier: { system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' } }, undefined]);
    expect(event).not.toHaveProperty('outcomeDesc');
    expect(event).not.toHaveProperty('purposeOfEvent');
  });

  it('tells refusals from failures', () => {
    expect(fhirAuditEvent(eventOf({ ...draft, outcome: 'refused', status: 404, code: 'study-not-found' }))).toMatchObject({ outcome: '4', outcomeDesc: 'refused: study-not-found' });
    expect(fhirAuditEvent(eventOf({ ...draft, outcome: 'failed', status: 500, code: 'internal' }))).toMatchObject({ outcome: '8' });
    expect(fhirAuditEvent(eventOf({ ...draft, outcome: 'failed', status: 409, code: 'conflict' }))).toMatchObject({ outcome: '4' });
    expect(fhirAuditEvent(eventOf({ ...draft, outcome: 'attempted', status: null }))).toMatchObject({ outcome: '0', outcomeDesc: 'attempted' });
  });

  it('marks emergencies and names their reason', () => {
    expect(fhirAuditEvent(eventOf({ ...draft, purpose: 'emergency', reason: 'no radiologist in the house' })).purposeOfEvent)
      .toEqual([{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: 'BTG', display: 'break the glass' }], text: 'no radiologist in the house' }]);
    expect(fhirAuditEvent(eventOf({ ...draft, purpose: 'teaching' })).purposeOfEvent).toEqual([{ text: 'teaching' }]);
  });

  it('knows jobs and devices, which are no persons', () => {
    const job = fhirAuditEvent(eventOf({ institutionId: draft.institutionId, actorKind: 'job', source: 'worker-1', action: 'runAnalysis', outcome: 'succeeded', studyInstanceUids: ['1.2.3'] }));
    expect(job).toMatchObject({ type: { code: '110100' }, action: 'E', agent: [{ requestor: false, who: { identifier: { value: 'worker-1' } }, network: { type: '1' } }] });
    expect(fhirAuditEvent(eventOf({ institutionId: draft.institutionId, actorKind: 'system', source: 'CT1', action: 'C-STORE', outcome: 'succeeded' }))).toMatchObject({ type: { code: '110107' }, action: 'C' });
  });
});
