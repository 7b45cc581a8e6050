import { Injectable } from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import type { DocumentReference, Resource } from '@medplum/fhirtypes';
import { ANALYSES_WITH_CODES, analysesOfReportCode } from '../../../imaging/report/fhir/codes.js';
import { deviceIdOf, digestOfDevice, fhirDevice, MODEL_DIGEST_SYSTEM } from '../../../imaging/report/fhir/device.js';
import { fhirDiagnosticReport, REPORT_CATEGORY, RESULT_ID_SYSTEM } from '../../../imaging/report/fhir/diagnostic-report.js';
import { fhirDocumentReferences, resultOfDocument } from '../../../imaging/report/fhir/documents.js';
import { fhirObservations, OBSERVATION_CATEGORY, resultOfLabelObservation, type ObservationMark } from '../../../imaging/report/fhir/observation.js';
import { fhirProvenance } from '../../../imaging/report/fhir/provenance.js';
import type { FhirResultSource } from '../../../imaging/report/fhir/result-source.js';
import { AppError } from '../../../kernel/errors.js';
import { isUuid } from '../../../kernel/uid.js';
import { ResultsStore } from '../results.store.js';
import { assertReleased } from '../withheld.js';
import type { FhirCall, FhirResources, Found } from './exchange.js';
import { FhirResultsStore, type FhirResultFilter } from './fhir-results.store.js';
import type { FhirSearch, Token } from './search.js';

type ResultType = 'DiagnosticReport' | 'Observation' | 'DocumentReference' | 'Provenance';

/** Results read at once while a page is filled, and how often: a page may be short, and the next one goes on where it ended. */
const BATCH = 50;
const MOST_BATCHES = 20;

/** Resources that are made in one go; in between others get their turn. */
const MADE_AT_ONCE = 64;

/** Whether a resource is one of those that are asked for, of several of one result. */
type Wanted = (mark: ObservationMark | DocumentReference) => boolean;

const MAKERS: Readonly<Record<ResultType, (result: FhirResultSource, call: FhirCall, wanted?: Wanted) => Resource[]>> = {
  DiagnosticReport: (result, call) => [fhirDiagnosticReport(result, call)],
  Observation: fhirObservations,
  DocumentReference: (result, call, wanted = () => true) => fhirDocumentReferences(result, call).filter(wanted),
  Provenance: (result) => [fhirProvenance(result)],
};

/** All that FHIR tells of results. */
@Injectable()
export class ResultResources {
  constructor(
    private readonly store: FhirResultsStore,
    private readonly results: ResultsStore,
  ) {}

  /** The resources of one type. */
  of(type: ResultType): FhirResources {
    return {
      read: async (call, id) => (await this.readAll(type, call, [id]))[0],
      readAll: (call, ids) => this.readAll(type, call, ids),
      search: (call, search) => (type === 'Observation' || type === 'DocumentReference' ? this.searchWithin(type, call, search) : this.searchResults(type, call, search)),
    };
  }

  /** Everything of one result. @throws AppError `result-not-found`, `result-withheld` */
  async whole(call: FhirCall, id: string): Promise<{ result: FhirResultSource; resources: Resource[] }> {
    const record = await this.results.find(call.institutionId, id);
    if (!record) throw new AppError('result-not-found');
    call.note({ studyInstanceUids: [record.studyInstanceUid] });
    assertReleased(record);
    const [result] = await this.store.list(call.institutionId, { ids: [[id]] }, { limit: 1 });
    // Removed a moment ago.
    if (!result) throw new AppError('result-not-found');
    const made = (['DiagnosticReport', 'Observation', 'DocumentReference', 'Provenance'] as const).flatMap((type) => MAKERS[type](result, call));
    return { result, resources: [...made, ...devicesOf([result.provenance.model])] };
  }

  private async readAll(type: ResultType, call: FhirCall, ids: readonly string[]): Promise<Resource[]> {
    const filter = ofIds(type, ids);
    if (filter === undefined) return [];
    const results = await this.list(call, filter, { limit: ids.length });
    const wanted = new Set(ids);
    const found: Resource[] = [];
    for (const result of results) {
      found.push(...MAKERS[type](result, call, ({ id = '' }) => wanted.has(id)));
      if (result.findings.length > MADE_AT_ONCE) await setImmediate();
    }
    return found;
  }

  /** One resource for each result. */
  private async searchResults(type: ResultType, call: FhirCall, search: FhirSearch): Promise<Found> {
    const { count, cursor } = search;
    const filter = filterOf(search);
    if (!filter) return { resources: [] };
    const results = await this.store.list(call.institutionId, filter, { limit: count + 1, behind: cursor });
    const shown = results.slice(0, count);
    call.note({ studyInstanceUids: shown.map(({ study }) => study.studyInstanceUid) });
    return { resources: shown.flatMap((result) => MAKERS[type](result, call)), cursor: results.length > count ? shown.at(-1)?.id : undefined };
  }

  /** Several resources in each result: the cursor is the result and the place in it. */
  private async searchWithin(type: ResultType, call: FhirCall, search: FhirSearch): Promise<Found> {
    const filter = filterOf(search);
    if (!filter) return { resources: [] };
    const fits = selectorOf(search);
    const [startAt, startPlace = ''] = search.cursor?.split('.') ?? [];
    const resources: Resource[] = [];
    let last: { id: string; place: number } | undefined;
    let page: { from?: string; behind?: string } = startAt === undefined ? {} : { from: startAt };
    for (let batch = 0; batch < MOST_BATCHES; batch++) {
      const results = await this.store.list(call.institutionId, { ...filter, ...(type === 'Observation' && { withObservations: true }) }, { limit: BATCH, ...page });
      for (const result of results) {
        const made = MAKERS[type](result, call, fits);
        const from = result.id === startAt ? Number(startPlace) : 0;
        const shown = made.slice(from, from + search.count - resources.length);
        if (shown.length > 0) call.note({ studyInstanceUids: [result.study.studyInstanceUid] });
        resources.push(...shown);
        // Where the next page begins: in this result, or behind it.
        last = { id: result.id, place: from + shown.length };
        if (from + shown.length < made.length) return { resources, cursor: `${last.id}.${String(last.place)}` };
        if (made.length > MADE_AT_ONCE) await setImmediate();
      }
      const behind = results.at(-1)?.id;
      if (results.length < BATCH || behind === undefined) return { resources };
      page = { behind };
    }
    return { resources, cursor: last && `${last.id}.${String(last.place)}` };
  }

  private async list({ institutionId, note }: FhirCall, filter: FhirResultFilter, page: { limit: number }): Promise<FhirResultSource[]> {
    const results = await this.store.list(institutionId, filter, page);
    note({ studyInstanceUids: results.map(({ study }) => study.studyInstanceUid) });
    return results;
  }
}

/** Models that results were made with: a model that has done nothing here yet is no device of this institution. */
@Injectable()
export class DeviceResources implements FhirResources {
  constructor(private readonly store: FhirResultsStore) {}

  async read(call: FhirCall, id: string): Promise<Resource | undefined> {
    return (await this.readAll(call, [id]))[0];
  }

  async readAll({ institutionId }: FhirCall, ids: readonly string[]): Promise<Resource[]> {
    const digests = ids.flatMap((id) => digestOfDevice(id) ?? []);
    return digests.length === 0 ? [] : this.store.models(institutionId, { digests: [digests] }, { limit: digests.length }).then(devicesOf);
  }

  async search({ institutionId }: FhirCall, search: FhirSearch): Promise<Found> {
    const { count, cursor } = search;
    const digests = [
      ...search.tokens('_id').map((some) => some.flatMap(({ code }) => digestOfDevice(code) ?? [])),
      ...search.tokens('identifier').map((some) => some.filter(({ system }) => system === undefined || system === MODEL_DIGEST_SYSTEM).map(({ code }) => code)),
    ];
    const models = await this.store.models(institutionId, { digests, namePrefixes: search.tokens('device-name').map((some) => some.map(({ code }) => code)) }, { limit: count + 1, behind: cursor });
    const shown = models.slice(0, count);
    const [last] = shown.slice(-1);
    return { resources: devicesOf(shown), cursor: models.length > count && last ? deviceIdOf(last) : undefined };
  }
}

function devicesOf(models: readonly FhirResultSource['provenance']['model'][]): Resource[] {
  return models.flatMap((model) => fhirDevice(model) ?? []);
}

function ofIds(type: ResultType, ids: readonly string[]): FhirResultFilter | undefined {
  const results = type === 'Observation' ? [] : ids.map((id) => (type === 'DocumentReference' ? resultOfDocument(id) : id)).filter(isUuid);
  const observations = type === 'Observation' ? ids.flatMap(observed) : [];
  if (results.length + observations.length === 0) return undefined;
  return type === 'Observation' ? { observations: [observations] } : { ids: [results] };
}

/** The result of a label, or the finding. */
function observed(id: string): ({ findingId: string } | { resultId: string })[] {
  const resultId = resultOfLabelObservation(id);
  if (resultId !== undefined) return isUuid(resultId) ? [{ resultId }] : [];
  return isUuid(id) ? [{ findingId: id }] : [];
}

/** @returns undefined when nothing can match */
function filterOf(search: FhirSearch): FhirResultFilter | undefined {
  const { type } = search;
  const codes = (name: string): string[][] => search.tokens(name).map((some) => some.map(({ code }) => code));
  const only = (name: string, ...constants: { system?: string; code?: string }[]): boolean => search.tokens(name).every((some) => some.some((token) => constants.some((constant) => isToken(token, constant))));
  const isDocument = type === 'DocumentReference';
  if (!only('category', type === 'Observation' ? OBSERVATION_CATEGORY : REPORT_CATEGORY)) return undefined;
  if (isDocument && !only('status', { code: 'current' })) return undefined;
  const byId = search.tokens('_id').map((some) => ofIds(type as ResultType, some.map(({ code }) => code)));
  const targets = search.references('DiagnosticReport', 'target').map((reports, at) => [
    ...reports.filter(isUuid).map((resultId) => ({ resultId })),
    ...(search.references('Observation', 'target')[at] ?? []).flatMap(observed),
    ...(search.references('DocumentReference', 'target')[at] ?? []).map(resultOfDocument).filter(isUuid).map((resultId) => ({ resultId })),
  ]);
  return {
    ids: [
      ...byId.flatMap((one) => (one === undefined ? [[]] : (one.ids ?? []))),
      ...search.tokens('identifier').map((some) => some.filter(({ system }) => system === undefined || system === RESULT_ID_SYSTEM).map(({ code }) => code.replace(/^urn:uuid:/, '')).filter(isUuid)),
    ],
    observations: [...byId.flatMap((one) => one?.observations ?? []), ...search.references('Observation', 'result').map((some) => some.flatMap(observed)), ...targets],
    patientIds: search.references('Patient', 'patient', 'subject').map((some) => some.filter(isUuid)),
    studyIds: search.references('ImagingStudy', 'study', 'derived-from', 'related').map((some) => some.filter(isUuid)),
    ...(!isDocument && { statuses: codes('status') }),
    ...(type === 'DiagnosticReport' && { analyses: search.tokens('code').map(analysesOf) }),
    // Of a whole system only the resources themselves can tell.
    ...(type === 'Observation' && { codes: codes('code').filter((some) => some.every((code) => code !== '')) }),
    studyDates: search.days('date'),
    createdAt: [...search.instants('issued'), ...search.instants('recorded')],
    updatedAt: [...search.instants('_lastUpdated'), ...search.instants('date')],
    modelDigests: search.references('Device', 'device', 'agent').map((some) => some.flatMap((id) => digestOfDevice(id) ?? [])),
  };
}

function analysesOf(some: readonly Token[]): { named: string[]; notAmong?: readonly string[] } {
  const meant = some.map(({ system, code }) => analysesOfReportCode(code, system));
  return { named: meant.flatMap(({ named }) => named), ...(meant.some(({ others }) => others) && { notAmong: ANALYSES_WITH_CODES }) };
}

/** What only the resource itself can tell: which of the several of a result is meant. */
function selectorOf(search: FhirSearch): Wanted {
  const [ids, codes, types] = ['_id', 'code', 'contenttype'].map((name) => search.tokens(name));
  const isOfDevice = search.references('Device', 'device').length > 0;
  return (mark) => {
    if (ids?.every((some) => some.some(({ code }) => code === mark.id)) === false) return false;
    if ('code' in mark && isOfDevice && !mark.isOfModel) return false;
    if ('code' in mark) return codes?.every((some) => some.some((token) => (mark.code.coding ?? []).some((coding) => isToken(token, coding)))) !== false;
    return types?.every((some) => some.some(({ code }) => mark.content.some(({ attachment }) => attachment.contentType === code))) !== false;
  };
}

function isToken({ system, code }: Token, constant: { system?: string | undefined; code?: string | undefined }): boolean {
  return (system === undefined || system === (constant.system ?? '')) && (code === '' ? system !== undefined : code === constant.code);
}
