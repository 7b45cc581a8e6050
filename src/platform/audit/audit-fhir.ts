import { shownTime, type AuditEvent } from './audit-event.js';

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const EVENT_TYPE = 'http://terminology.hl7.org/CodeSystem/audit-event-type';
const ENTITY_TYPE = 'http://terminology.hl7.org/CodeSystem/audit-entity-type';
const OBJECT_ROLE = 'http://terminology.hl7.org/CodeSystem/object-role';
const SOURCE_TYPE = 'http://terminology.hl7.org/CodeSystem/security-source-type';
const ACT_REASON = 'http://terminology.hl7.org/CodeSystem/v3-ActReason';
const PROVENANCE = 'http://terminology.hl7.org/CodeSystem/provenance-participant-type';

interface Coding { system?: string; code?: string; display?: string }
interface Concept { coding?: Coding[]; text?: string }

/** FHIR R4 AuditEvent, as far as we fill it. @see https://hl7.org/fhir/R4/auditevent.html */
export interface FhirAuditEvent {
  resourceType: 'AuditEvent';
  id: string;
  type: Coding;
  subtype: Coding[];
  action: 'C' | 'R' | 'U' | 'D' | 'E';
  /** FHIR wants it; left out where the database holds no time that the application can have written. */
  recorded?: string;
  outcome: '0' | '4' | '8';
  outcomeDesc?: string;
  purposeOfEvent?: Concept[];
  agent: {
    type: Concept;
    role?: Concept[];
    who: { identifier: { system: string; value: string } };
    altId?: string;
    requestor: boolean;
    network?: { address: string; type: '1' | '2' };
    purposeOfUse?: Concept[];
  }[];
  source: { site: string; observer: { display: string }; type: Coding[] };
  entity?: { what?: { reference?: string; identifier?: { system: string; value: string } }; type: Coding; role?: Coding; name?: string; detail?: { type: string; valueString: string }[] }[];
}

/** DICOM's names for kinds of events, by the beginnings of our actions. @see PS3.16, CID 400 */
const TYPES: readonly (readonly [RegExp, Coding])[] = [
  [/^(createToken|revokeToken|createSession|deleteSession|.*[sS]ignIn|.*[sS]ignOut)/, { system: DCM, code: '110114', display: 'User Authentication' }],
  [/^(export|createDeidentified|.*Export)/, { system: DCM, code: '110106', display: 'Export' }],
  [/^(store|upload|createUpload|appendUpload|c-store)/i, { system: DCM, code: '110107', display: 'Import' }],
  [/^(search|list)/, { system: DCM, code: '110112', display: 'Query' }],
  [/^(retrieve|render|getThumbnail|getRendered|getFrames|getBulk|getPixel)/, { system: DCM, code: '110103', display: 'DICOM Instances Accessed' }],
  [/^(deleteStudy|retention|purge|eraseP)/, { system: DCM, code: '110105', display: 'DICOM Study Deleted' }],
];
const REST: Coding = { system: EVENT_TYPE, code: 'rest', display: 'RESTful Operation' };
const APPLICATION: Coding = { system: DCM, code: '110100', display: 'Application Activity' };

const PURPOSES: Readonly<Record<string, Coding>> = {
  treatment: { system: ACT_REASON, code: 'TREAT', display: 'treatment' },
  emergency: { system: ACT_REASON, code: 'BTG', display: 'break the glass' },
  operations: { system: ACT_REASON, code: 'HOPERAT', display: 'healthcare operations' },
  research: { system: ACT_REASON, code: 'HRESCH', display: 'healthcare research' },
  support: { system: ACT_REASON, code: 'HSYSADMIN', display: 'health system administration' },
  retention: { system: ACT_REASON, code: 'RECORDMGT', display: 'records management' },
  patient: { system: ACT_REASON, code: 'PATRQT', display: 'patient requested' },
};

/** An audit event as FHIR's AuditEvent. */
export function fhirAuditEvent(event: AuditEvent): FhirAuditEvent {
  const purpose = purposeOf(event);
  const entity = entitiesOf(event);
  const recorded = shownTime(event.at);
  const outcomeText = event.outcome === 'succeeded' ? undefined : [event.outcome, event.code].filter((part) => part !== null).join(': ');
  return {
    resourceType: 'AuditEvent',
    id: event.id,
    type: typeOf(event),
    subtype: [{ system: 'urn:healthvision:operation', code: event.action }],
    action: actionOf(event),
    ...(recorded !== null && { recorded }),
    outcome: outcomeOf(event),
    ...(outcomeText !== undefined && { outcomeDesc: outcomeText }),
    ...(purpose && { purposeOfEvent: [purpose] }),
    agent: [agentOf(event, purpose)],
    source: { site: event.institutionId, observer: { display: 'HealthVision' }, type: [{ system: SOURCE_TYPE, code: '4', display: 'Application Server' }] },
    ...(entity.length > 0 && { entity }),
  };
}

function typeOf({ action, actorKind }: AuditEvent): Coding {
  return TYPES.find(([pattern]) => pattern.test(action))?.[1] ?? (actorKind === 'job' ? APPLICATION : REST);
}

function actionOf({ action, actorKind, details }: AuditEvent): FhirAuditEvent['action'] {
  if (actorKind === 'job' || actorKind === 'system') return /^(retention|purge|erase|delete)/.test(action) ? 'D' : /store/i.test(action) ? 'C' : 'E';
  const method = typeof details.route === 'string' ? details.route.split(' ')[0] : undefined;
  if (/^(search|list)/.test(action)) return 'E';
  switch (method) {
    case 'GET': case 'HEAD': return 'R';
    case 'POST': return /^(create|store|upload|add|invite)/.test(action) ? 'C' : 'E';
    case 'PUT': case 'PATCH': return 'U';
    case 'DELETE': return 'D';
    default: return 'E';
  }
}

function outcomeOf({ outcome, status }: AuditEvent): FhirAuditEvent['outcome'] {
  if (outcome === 'attempted' || outcome === 'succeeded') return '0';
  return outcome === 'failed' && (status === null || status >= 500) ? '8' : '4';
}

function purposeOf({ purpose, reason }: AuditEvent): Concept | undefined {
  if (purpose === null && reason === null) return undefined;
  const coding = purpose === null ? undefined : PURPOSES[purpose];
  const text = [coding ? undefined : purpose, reason].filter((part) => part != null).join(': ');
  return { ...(coding && { coding: [coding] }), ...(text !== '' && { text }) };
}

function agentOf({ actorKind, actorId, userId, role, source }: AuditEvent, purpose: Concept | undefined): FhirAuditEvent['agent'][number] {
  const isPerson = actorKind === 'user';
  return {
    type: isPerson
      ? { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType', code: 'IRCP', display: 'information recipient' }] }
      : { coding: [{ system: PROVENANCE, code: 'performer', display: 'Performer' }], text: actorKind },
    ...(role !== null && { role: [{ text: role }] }),
    who: { identifier: actorId === null ? { system: 'urn:healthvision:actor', value: source !== null && actorKind !== 'anonymous' ? source : actorKind } : { system: 'urn:ietf:rfc:3986', value: `urn:uuid:${actorId}` } },
    ...(userId !== null && userId !== actorId && { altId: userId }),
    requestor: actorKind !== 'job',
    ...(source !== null && { network: { address: source, type: /^[\d.]+$|:/.test(source) ? '2' as const : '1' as const } }),
    ...(purpose && { purposeOfUse: [purpose] }),
  };
}

function entitiesOf({ patientIds, studyInstanceUids, object, requestId, details }: AuditEvent): NonNullable<FhirAuditEvent['entity']> {
  const facts = [...Object.entries(details), ...(requestId === null ? [] : [['request', requestId] as const])].filter(([, value]) => value !== null);
  return [
    ...patientIds.map((id) => ({ what: { reference: `Patient/${id}` }, type: { system: ENTITY_TYPE, code: '1', display: 'Person' }, role: { system: OBJECT_ROLE, code: '1', display: 'Patient' } })),
    // PS3.15 A.5.3: the UID of a study.
    ...studyInstanceUids.map((uid) => ({ what: { identifier: { system: 'urn:dicom:uid', value: `urn:oid:${uid}` } }, type: { system: ENTITY_TYPE, code: '2', display: 'System Object' }, role: { system: OBJECT_ROLE, code: '3', display: 'Report' } })),
    ...(object === null ? [] : [{ what: { identifier: { system: 'urn:healthvision:object', value: object } }, type: { system: ENTITY_TYPE, code: '2', display: 'System Object' }, role: { system: OBJECT_ROLE, code: '4', display: 'Domain Resource' } }]),
    ...(facts.length === 0 ? [] : [{ type: { system: ENTITY_TYPE, code: '4', display: 'Other' }, name: 'request', detail: facts.map(([type, value]) => ({ type, valueString: String(value) })) }]),
  ];
}
