import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { CHARACTER_SETS } from '../../../imaging/report/hl7/character-set.js';
import { pageSchema } from '../../../platform/http/page.js';
import { etagOf } from '../../../platform/http/representation.js';
import { DELIVERY_STATES, type Delivery } from './deliveries.store.js';
import type { Destination, DestinationTarget } from './destination.js';

const name = z.string().trim().min(1).max(100).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').meta({ example: 'Main PACS', description: 'For people' });
const enabled = z.boolean().meta({ description: 'Nothing is sent to one that is not' });
const results = z.enum(['all', 'signed']).meta({ description: '`signed`: only what somebody has signed' });
const url = z.url({ protocol: /^https?$/ }).max(500).meta({ example: 'https://pacs.hospital.example/dicom-web', description: 'Base of the STOW-RS service; `/studies` is appended' });
/** RFC 9110 §5.5 */
const authorization = z.string().min(1).max(4_000).regex(/^[\x21-\x7e][\x20-\x7e]*$/, 'must be a header value').meta({ example: 'Bearer eyJhbGciOiJFUzI1NiJ9', description: 'What the server wants in the header Authorization. Kept sealed and never shown' });
/** @see PS3.5 §6.2, AE */
const aeTitle = z.string().trim().regex(/^[\x20-\x5b\x5d-\x7e]{1,16}$/, 'must be an AE title: 1 to 16 printable ASCII characters without a backslash');
const host = z.string().regex(/^[a-z0-9]([a-z0-9.:_-]{0,252})$/i, 'must be a host name or an address').meta({ example: 'pacs.hospital.internal', description: 'One of ALLOWED_PRIVATE_HOSTS, unless TLS protects what is said' });
const port = z.number().int().min(1).max(65_535);
const dimse = z.strictObject({
  kind: z.literal('dimse'), host, port: port.meta({ example: 11_112 }),
  calledAeTitle: aeTitle.meta({ example: 'PACS' }), callingAeTitle: aeTitle.default('HEALTHVISION').meta({ example: 'HEALTHVISION' }),
});
/** HD of MSH-3 to MSH-6: a name in a namespace that both sides know. */
const party = z.string().trim().regex(/^[\x20-\x7e]{0,180}$/, 'must be printable ASCII');
const ca = z.string().max(20_000).refine(isCertificate, 'must be a certificate in PEM').nullable().meta({ description: 'Certificate authority in PEM, the only one that counts; `null`: the public ones' });
const hl7Fields = {
  sendingApplication: party.default('HEALTHVISION').meta({ example: 'HEALTHVISION', description: 'MSH-3' }),
  sendingFacility: party.default('').meta({ example: 'RADIOLOGY', description: 'MSH-4' }),
  receivingApplication: party.default('').meta({ example: 'RIS', description: 'MSH-5' }),
  receivingFacility: party.default('').meta({ example: 'HOSPITAL', description: 'MSH-6' }),
  characterSet: z.enum(CHARACTER_SETS).default('UTF-8').meta({ description: 'MSH-18' }),
  processingId: z.enum(['P', 'T', 'D']).default('P').meta({ description: 'MSH-11: production, training, debugging' }),
  language: z.enum(['en', 'zh-CN']).default('en').meta({ description: 'Of texts' }),
  pdf: z.boolean().default(false).meta({ description: 'Whether the report goes along as PDF' }),
};
const hl7 = z.strictObject({ kind: z.literal('hl7'), host: host.meta({ example: 'ris.hospital.internal' }), port: port.meta({ example: 2_575 }), tls: z.boolean().default(true), ca: ca.default(null), ...hl7Fields })
  .refine(({ tls, ca: authority }) => tls || authority === null, { path: ['ca'], message: 'is for TLS' });

const target = z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('stow'), url, authorization: authorization.nullable().optional().meta({ description: 'Left out of a change that keeps the server: as before. `null`: none' }) }), dimse, hl7]);

export const createDestination = z.strictObject({ name, target, enabled: enabled.default(true), results: results.default('all') })
  .meta({ id: 'CreateDestination', example: { name: 'Main PACS', target: { kind: 'stow', url: 'https://pacs.hospital.example/dicom-web', authorization: 'Bearer eyJhbGciOiJFUzI1NiJ9' } } });
export const updateDestination = z.strictObject({ name, target, enabled, results }).partial().refine((change) => Object.keys(change).length > 0, 'Nothing to change')
  .meta({ id: 'UpdateDestination', example: { enabled: false } });

export type TargetBody = z.infer<typeof target>;

export const destinationSchema = z
  .object({
    id: z.uuid(), name: z.string(), enabled: z.boolean(), results: z.enum(['all', 'signed']),
    target: z.union([
      z.object({ kind: z.literal('stow'), url: z.string(), hasAuthorization: z.boolean() }),
      z.object({ kind: z.literal('dimse'), host: z.string(), port: z.number().int(), calledAeTitle: z.string(), callingAeTitle: z.string() }),
      z.object({
        kind: z.literal('hl7'), host: z.string(), port: z.number().int(), tls: z.boolean(), ca: z.string().nullable(),
        sendingApplication: z.string(), sendingFacility: z.string(), receivingApplication: z.string(), receivingFacility: z.string(),
        characterSet: z.enum(CHARACTER_SETS), processingId: z.enum(['P', 'T', 'D']), language: z.enum(['en', 'zh-CN']), pdf: z.boolean(),
      }),
    ]),
    createdAt: z.iso.datetime(), updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Destination', description: 'Where results are sent: their SEG and SR, or an HL7 v2 message' });

export const destinationPage = pageSchema(destinationSchema, 'DestinationPage');
export type DestinationJson = z.infer<typeof destinationSchema>;

export const deliverySchema = z
  .object({
    id: z.uuid(), destinationId: z.uuid(), resultId: z.uuid(), version: z.number().int().meta({ description: 'Of the result' }), studyInstanceUid: z.string(),
    state: z.enum(DELIVERY_STATES),
    attempts: z.number().int(),
    nextAttemptAt: z.iso.datetime().nullable(),
    failure: z.object({
      code: z.enum(['unreachable', 'timeout', 'not-allowed', 'association-rejected', 'class-not-accepted', 'busy', 'refused', 'object-missing', 'bad-answer', 'superseded']),
      detail: z.string(),
    }).nullable().meta({ description: 'What the last try met' }),
    createdAt: z.iso.datetime(), deliveredAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Delivery', description: 'One version of a result on its way to one destination' });

export const deliveryPage = pageSchema(deliverySchema, 'DeliveryPage');
export type DeliveryJson = z.infer<typeof deliverySchema>;

export function destinationJson({ id, name: called, enabled: on, results: which, target: place, sealedAuthorization, createdAt, updatedAt }: Destination): DestinationJson {
  return {
    id, name: called, enabled: on, results: which,
    target: targetJson(place, sealedAuthorization !== null),
    createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString(),
  };
}

function targetJson(place: DestinationTarget, hasAuthorization: boolean): DestinationJson['target'] {
  switch (place.kind) {
    case 'stow': return { kind: 'stow', url: place.url, hasAuthorization };
    case 'dimse': return { kind: 'dimse', host: place.host, port: place.port, calledAeTitle: place.calledAeTitle, callingAeTitle: place.callingAeTitle };
    case 'hl7': {
      const { kind, host: at, port: number, tls, ca: authority, sendingApplication, sendingFacility, receivingApplication, receivingFacility, characterSet, processingId, language, pdf } = place;
      // PostgreSQL keeps JSON in an order of its own; a reader gets the order of the documentation.
      return { kind, host: at, port: number, tls, ca: authority, sendingApplication, sendingFacility, receivingApplication, receivingFacility, characterSet, processingId, language, pdf };
    }
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== '';
  } catch {
    return false;
  }
}

export function destinationETag({ id, updatedAt }: Destination): string {
  return etagOf(id, updatedAt.getTime());
}

export function deliveryJson({ id, destinationId, resultId, version, studyInstanceUid, state, attempts, nextAt, failure, createdAt, deliveredAt }: Delivery): DeliveryJson {
  return {
    id, destinationId, resultId, version, studyInstanceUid, state, attempts, nextAttemptAt: state === 'waiting' ? nextAt.toISOString() : null,
    failure: failure && { code: failure.code, detail: failure.detail }, createdAt: createdAt.toISOString(), deliveredAt: deliveredAt?.toISOString() ?? null,
  };
}

export const destinationExample: DestinationJson = {
  id: '0198c0de-0000-7000-8000-00000000000d', name: 'Main PACS', enabled: true, results: 'all', target: { kind: 'stow', url: 'https://pacs.hospital.example/dicom-web', hasAuthorization: true },
  createdAt: '2026-11-21T10:00:00.000Z', updatedAt: '2026-11-21T10:00:00.000Z',
};

export const deliveryExample: DeliveryJson = {
  id: '0198c0de-4b00-7d2a-8c11-5e4f3a2b1c0e', destinationId: destinationExample.id, resultId: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49', version: 1, studyInstanceUid: '2.25.314159265358979323846264338327950288',
  state: 'waiting', attempts: 2, nextAttemptAt: '2026-11-21T10:02:00.000Z', failure: { code: 'busy', detail: 'C-STORE status 0xA700' }, createdAt: '2026-11-21T10:00:00.120Z', deliveredAt: null,
};
