import { z } from 'zod';
import { pageSchema } from '../../../platform/http/page.js';
import { etagOf } from '../../../platform/http/representation.js';
import { DELIVERY_STATES, type Delivery } from './deliveries.store.js';
import type { Destination } from './destination.js';

const name = z.string().trim().min(1).max(100).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').meta({ example: 'Main PACS', description: 'For people' });
const enabled = z.boolean().meta({ description: 'Nothing is sent to one that is not' });
const results = z.enum(['all', 'signed']).meta({ description: '`signed`: only what somebody has signed' });
const url = z.url({ protocol: /^https?$/ }).max(500).meta({ example: 'https://pacs.hospital.example/dicom-web', description: 'Base of the STOW-RS service; `/studies` is appended' });
/** RFC 9110 §5.5 */
const authorization = z.string().min(1).max(4_000).regex(/^[\x21-\x7e][\x20-\x7e]*$/, 'must be a header value').meta({ example: 'Bearer eyJhbGciOiJFUzI1NiJ9', description: 'What the server wants in the header Authorization. Kept sealed and never shown' });
/** @see PS3.5 §6.2, AE */
const aeTitle = z.string().trim().regex(/^[\x20-\x5b\x5d-\x7e]{1,16}$/, 'must be an AE title: 1 to 16 printable ASCII characters without a backslash');
const host = z.string().regex(/^[a-z0-9]([a-z0-9.:_-]{0,252})$/i, 'must be a host name or an address').meta({ example: 'pacs.hospital.internal', description: 'One of ALLOWED_PRIVATE_HOSTS: DIMSE is not encrypted' });
const dimse = z.strictObject({
  kind: z.literal('dimse'), host, port: z.number().int().min(1).max(65_535).meta({ example: 11_112 }),
  calledAeTitle: aeTitle.meta({ example: 'PACS' }), callingAeTitle: aeTitle.default('HEALTHVISION').meta({ example: 'HEALTHVISION' }),
});

const target = z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('stow'), url, authorization: authorization.nullable().optional().meta({ description: 'Left out of a change that keeps the server: as before. `null`: none' }) }), dimse]);

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
    ]),
    createdAt: z.iso.datetime(), updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Destination', description: 'Where the SEG and SR of results are sent' });

export const destinationPage = pageSchema(destinationSchema, 'DestinationPage');
export type DestinationJson = z.infer<typeof destinationSchema>;

export const deliverySchema = z
  .object({
    id: z.uuid(), destinationId: z.uuid(), resultId: z.uuid(), version: z.number().int().meta({ description: 'Of the result' }), studyInstanceUid: z.string(),
    state: z.enum(DELIVERY_STATES),
    attempts: z.number().int(),
    nextAttemptAt: z.iso.datetime().nullable(),
    failure: z.object({
      code: z.enum(['unreachable', 'timeout', 'not-allowed', 'association-rejected', 'class-not-accepted', 'busy', 'refused', 'object-missing']),
      detail: z.string(),
    }).nullable().meta({ description: 'What the last try met' }),
    createdAt: z.iso.datetime(), deliveredAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Delivery', description: 'The objects of one version of a result, on their way to one destination' });

export const deliveryPage = pageSchema(deliverySchema, 'DeliveryPage');
export type DeliveryJson = z.infer<typeof deliverySchema>;

export function destinationJson({ id, name: called, enabled: on, results: which, target: place, sealedAuthorization, createdAt, updatedAt }: Destination): DestinationJson {
  return {
    id, name: called, enabled: on, results: which,
    target: place.kind === 'stow' ? { kind: 'stow', url: place.url, hasAuthorization: sealedAuthorization !== null } : { kind: 'dimse', host: place.host, port: place.port, calledAeTitle: place.calledAeTitle, callingAeTitle: place.callingAeTitle },
    createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString(),
  };
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
