import type { Device, Reference } from '@medplum/fhirtypes';
import type { Provenance } from '../finding.js';
import { concept, plain, SNOMED } from './codes.js';

type Model = Provenance['model'];

export const MODEL_DIGEST_SYSTEM = 'urn:healthvision:model-digest';
const DIGEST = /^sha256:([0-9a-f]{64})$/;

/** The digest is the id: 64 hexadecimal digits, the longest that FHIR allows. @returns undefined for a digest of another form */
export function deviceIdOf({ digest }: Pick<Model, 'digest'>): string | undefined {
  return DIGEST.exec(digest)?.[1];
}

/** @returns undefined when the id is none of ours */
export function digestOfDevice(id: string): string | undefined {
  return DIGEST.test(`sha256:${id}`) ? `sha256:${id}` : undefined;
}

/** Points to the model, and says its name without the need to follow. */
export function deviceReference(model: Model): Reference<Device> {
  const id = deviceIdOf(model);
  return { ...(id !== undefined && { reference: `Device/${id}` }), display: plain(`${model.name} ${model.version}`) ?? 'AI model' };
}

/** A model, which its digest says all of: a change would be another device. @returns undefined for a digest of another form */
export function fhirDevice(model: Model): Device | undefined {
  const id = deviceIdOf(model);
  const version = plain(model.version);
  if (id === undefined) return undefined;
  return {
    resourceType: 'Device', id,
    meta: { versionId: '1' },
    identifier: [{ use: 'official', system: MODEL_DIGEST_SYSTEM, value: model.digest }],
    status: 'active',
    deviceName: [{ name: plain(model.name) ?? 'AI model', type: 'model-name' }],
    type: concept({ system: SNOMED, code: '706689003', display: 'Application program software' }, 'AI model'),
    ...(version !== undefined && { version: [{ type: { text: 'model' }, value: version }] }),
    property: [{ type: { text: 'digest' }, valueCode: [{ text: model.digest }] }],
  };
}
