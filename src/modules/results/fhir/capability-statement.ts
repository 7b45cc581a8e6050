import type { CapabilityStatement, CapabilityStatementRestResource, CapabilityStatementRestResourceSearchParam } from '@medplum/fhirtypes';
import { INCLUDES, SEARCH_PARAMETERS, FHIR_TYPES, type FhirType, type ParameterKind } from './search-parameters.js';

const TYPES: Readonly<Record<ParameterKind, CapabilityStatementRestResourceSearchParam['type']>> = { id: 'token', token: 'token', reference: 'reference', day: 'date', instant: 'date', phrase: 'string' };
/** When what is said here last changed. */
const DATE = '2026-11-29';

/** What can be read, and how it is found. @param base  `https://host` */
export function capabilityStatement(base: string, version: string): CapabilityStatement {
  return {
    resourceType: 'CapabilityStatement', id: 'healthvision',
    url: `${base}/fhir/metadata`, version, name: 'HealthVision', title: 'HealthVision, FHIR R4 to read', status: 'active', experimental: false, date: DATE,
    publisher: 'HealthVision', description: 'Imaging studies, and what AI models found in them. Not for primary diagnosis.',
    kind: 'instance', software: { name: 'HealthVision', version }, implementation: { description: 'HealthVision', url: `${base}/fhir` },
    fhirVersion: '4.0.1', format: ['application/fhir+json', 'json'],
    rest: [{
      mode: 'server',
      documentation: 'Reads and searches. Results that were withheld are not shown.',
      security: {
        cors: true,
        service: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/restful-security-service', code: 'SMART-on-FHIR', display: 'SMART-on-FHIR' }], text: 'SMART Backend Services' }],
        extension: [{ url: 'http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris', extension: [{ url: 'token', valueUri: `${base}/oauth2/token` }, { url: 'revoke', valueUri: `${base}/oauth2/revoke` }] }],
      },
      resource: FHIR_TYPES.map(resourceOf),
    }],
  };
}

function resourceOf(type: FhirType): CapabilityStatementRestResource {
  const includes = Object.keys(INCLUDES[type]).map((name) => `${type}:${name}`);
  return {
    type, interaction: [{ code: 'read' }, { code: 'search-type' }],
    versioning: 'versioned', readHistory: false, updateCreate: false, conditionalCreate: false, conditionalRead: 'not-match', conditionalUpdate: false, conditionalDelete: 'not-supported',
    ...(includes.length > 0 && { searchInclude: includes }),
    searchParam: Object.entries(SEARCH_PARAMETERS[type]).map(([name, { kind, documentation }]) => ({ name, type: TYPES[kind], documentation })),
  };
}
