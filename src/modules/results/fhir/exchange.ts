import type { Bundle, BundleEntry, Resource } from '@medplum/fhirtypes';
import type { FhirReader } from '../../../imaging/report/fhir/result-source.js';
import { AppError } from '../../../kernel/errors.js';
import type { AuditNote } from '../../../platform/audit/audit-note.js';
import { FHIR_JSON, warningOf } from './outcome.js';
import type { FhirSearch } from './search.js';
import type { FhirType } from './search-parameters.js';

/** Who reads, and how. */
export interface FhirCall extends FhirReader {
  institutionId: string;
  /** What is seen is put on record. */
  note: (note: Pick<AuditNote, 'patientIds' | 'studyInstanceUids'>) => void;
}

/** One page of what was found, and where the next one begins. */
export interface Found {
  resources: Resource[];
  cursor?: string | undefined;
}

/** The resources of one type. */
export interface FhirResources {
  /** undefined when there is none, or none that may be shown. */
  read(call: FhirCall, id: string): Promise<Resource | undefined>;
  search(call: FhirCall, search: FhirSearch): Promise<Found>;
  /** Several by their ids; those that are not there are missing. */
  readAll(call: FhirCall, ids: readonly string[]): Promise<Resource[]>;
}

const SUBTYPES = [FHIR_JSON, 'application/json', 'text/json', 'application/*', '*/*'];

/**
 * Whether FHIR JSON of version 4.0 will do; there is no other.
 *
 * @param format  `_format`, which goes before the header
 * @throws AppError `not-acceptable`
 */
export function requireJson(accept: string | undefined, format: string | null): void {
  if (format !== null) {
    // A plus in a URL is a space to whoever reads forms.
    const [type = ''] = format.toLowerCase().replace(' ', '+').split(';');
    if (![FHIR_JSON, 'application/json', 'text/json', 'json'].includes(type.trim())) throw new AppError('not-acceptable', { detail: 'There is JSON only: application/fhir+json.' });
    return;
  }
  const ranges = (accept ?? '').split(',').map((range) => range.trim().toLowerCase()).filter((range) => range !== '');
  const fits = ranges.some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().replaceAll(/[\s"]/g, ''));
    return SUBTYPES.includes(type) && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter) || /^fhirversion=(?!4\.0$)/.test(parameter));
  });
  if (ranges.length > 0 && !fits) throw new AppError('not-acceptable', { detail: 'There is FHIR 4.0 in JSON only: application/fhir+json.' });
}

/** @see https://hl7.org/fhir/R4/http.html#search */
export function searchset(base: string, search: FhirSearch, found: Found, included: readonly Resource[], now: Date): Bundle {
  const fhirBase = `${base}/fhir`;
  const entry: BundleEntry[] = [
    ...found.resources.map((resource): BundleEntry => ({ fullUrl: fullUrl(base, resource), resource, search: { mode: 'match' } })),
    ...included.map((resource): BundleEntry => ({ fullUrl: fullUrl(base, resource), resource, search: { mode: 'include' } })),
    ...(search.ignored.length === 0 ? [] : [{ resource: warningOf(search.ignored), search: { mode: 'outcome' as const } }]),
  ];
  return {
    resourceType: 'Bundle', type: 'searchset',
    meta: { lastUpdated: now.toISOString() },
    link: [
      { relation: 'self', url: search.link(fhirBase, search.cursor) },
      ...(found.cursor === undefined ? [] : [{ relation: 'next' as const, url: search.link(fhirBase, found.cursor) }]),
    ],
    ...(entry.length > 0 && { entry }),
  };
}

/** Resources without an order or a search, such as all that belong to one result. */
export function collection(base: string, id: string, timestamp: Date, resources: readonly Resource[]): Bundle {
  return {
    resourceType: 'Bundle', id, type: 'collection', timestamp: timestamp.toISOString(),
    entry: resources.map((resource) => ({ fullUrl: fullUrl(base, resource), resource })),
  };
}

function fullUrl(base: string, { resourceType, id }: Resource): string {
  return `${base}/fhir/${resourceType}/${id ?? ''}`;
}

/** Types whose resources do not follow the language. */
export const SPEECHLESS: ReadonlySet<FhirType> = new Set<FhirType>(['Patient', 'ImagingStudy', 'Provenance', 'Device']);
