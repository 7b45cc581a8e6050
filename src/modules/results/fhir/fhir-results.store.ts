import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Finding, Label, Provenance, Segment } from '../../../imaging/report/finding.js';
import { DOCUMENT_KINDS, type DocumentKind, type FhirResultSource, type FhirSignature } from '../../../imaging/report/fhir/result-source.js';
import { standing } from '../../../imaging/report/review.js';
import type { Range } from '../../../kernel/range.js';
import { Database } from '../../../platform/database/database.js';
import { withinAny } from '../../../platform/database/ranges.js';
import type { Alternatives } from '../../images/images.contract.js';
import { newestOf } from '../object-refs.js';
import type { ObjectRef } from '../results.contract.js';
import type { StoredReview } from '../results.store.js';
import type { StoredSignature } from '../review/versions.store.js';

/** Which results; every list has to hold, with one of its values. */
export interface FhirResultFilter {
  ids?: Alternatives<string>;
  /** Of findings, or of the results that labels belong to. */
  observations?: Alternatives<{ findingId: string } | { resultId: string }>;
  patientIds?: Alternatives<string>;
  studyIds?: Alternatives<string>;
  statuses?: Alternatives<string>;
  /** Named ones, and all that are not among `known`. */
  analyses?: readonly { named: readonly string[]; notAmong?: readonly string[] }[];
  studyDates?: Alternatives<Range<string>>;
  createdAt?: Alternatives<Range<Date>>;
  updatedAt?: Alternatives<Range<Date>>;
  modelDigests?: Alternatives<string>;
  /** Codes of findings or labels. */
  codes?: Alternatives<string>;
  withObservations?: boolean;
}

type Model = Provenance['model'];
type Row = Omit<FhirResultSource, 'study' | 'documents' | 'verifier' | 'signatures' | 'findings' | 'labels' | 'segments' | 'provenance'> & {
  findings: unknown; labels: unknown; segments: unknown; provenance: unknown; objects: unknown;
  /** Of the newest version. */
  review: unknown; signature: unknown; organisation: string | null;
  studyId: string; studyInstanceUid: string; patientId: string | null; studyDate: string | null;
};

/** All findings that a result has: of the model, and of the persons who reviewed it. Those that were rejected are sorted out when they are read. */
const FINDINGS = Prisma.raw(`coalesce(r.reviewed->'findings', r.findings)`);
/** Of those that stand. Where it is indexed: see the migration fhir_reviewed_findings. */
const FINDING_IDS = Prisma.raw(`jsonb_path_query_array(coalesce(r.reviewed->'findings', r.findings), '$[*] ? (!(@.review.state == "rejected")).id')`);
const MODEL_DIGEST = Prisma.raw(`(r.provenance #>> '{model,digest}')`);

/** Results that were released, with what FHIR says of their studies. A result that the gate withheld is not there. */
@Injectable()
export class FhirResultsStore {
  constructor(private readonly database: Database) {}

  /**
   * Newest first.
   *
   * @param page  `behind`: not those up to this id; `from`: neither those before it
   */
  async list(institutionId: string, filter: FhirResultFilter, page: { limit: number; behind?: string | undefined; from?: string | undefined }): Promise<FhirResultSource[]> {
    const rows = await this.database.read<Row>({ institutionId }, Prisma.sql`
      SELECT r.id, r.analysis, r.status, r.created_at AS "createdAt", r.updated_at AS "updatedAt", r.provenance, r.objects,
        ${FINDINGS} AS findings, coalesce(r.reviewed->'labels', r.labels) AS labels, coalesce(r.reviewed->'segments', r.segments) AS segments,
        r.reviewed->'signOff' AS review, v.signature, i.name AS organisation,
        s.id AS "studyId", s.study_instance_uid AS "studyInstanceUid", s.patient_id AS "patientId", s.study_date AS "studyDate"
      FROM results r JOIN studies s ON s.id = r.study_id AND s.institution_id = r.institution_id LEFT JOIN institutions i ON i.id = r.institution_id
        LEFT JOIN result_versions v ON v.result_id = r.id AND v.version = r.version AND v.institution_id = r.institution_id
      WHERE ${Prisma.join(conditionsOf(institutionId, filter, page), ' AND ')} ORDER BY r.id DESC LIMIT ${page.limit}::int`);
    return rows.map(sourceOf);
  }

  /** Models that results were made with, in the order of their digests. */
  async models(institutionId: string, { digests = [], namePrefixes = [] }: { digests?: Alternatives<string>; namePrefixes?: Alternatives<string> }, page: { limit: number; behind?: string | undefined }): Promise<Model[]> {
    const found: Model[] = [];
    // One step for each model: there are few, and results of each may be many.
    for (let behind = page.behind === undefined ? '' : `sha256:${page.behind}`; found.length < page.limit;) {
      const conditions = [
        Prisma.sql`r.institution_id = ${institutionId}::uuid`, Prisma.sql`r.status <> 'withheld'`, Prisma.sql`${MODEL_DIGEST} > ${behind}::text`, Prisma.sql`${MODEL_DIGEST} LIKE 'sha256:%'`,
        ...digests.map((some) => Prisma.sql`${MODEL_DIGEST} = ANY (${[...some]}::text[])`),
      ];
      const [row] = await this.database.read<{ model: Model }>({ institutionId }, Prisma.sql`
        SELECT r.provenance->'model' AS model FROM results r WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY ${MODEL_DIGEST} LIMIT 1`);
      if (!row) return found;
      behind = row.model.digest;
      if (namePrefixes.every((some) => some.some((prefix) => row.model.name.toLowerCase().startsWith(prefix.toLowerCase())))) found.push(row.model);
    }
    return found;
  }
}

function conditionsOf(institutionId: string, filter: FhirResultFilter, { behind, from }: { behind?: string | undefined; from?: string | undefined }): Prisma.Sql[] {
  const { ids = [], observations = [], patientIds = [], studyIds = [], statuses = [], analyses = [], studyDates = [], createdAt = [], updatedAt = [], modelDigests = [], codes = [], withObservations } = filter;
  return [
    Prisma.sql`r.institution_id = ${institutionId}::uuid`,
    Prisma.sql`r.status <> 'withheld'`,
    ...(behind === undefined ? [] : [Prisma.sql`r.id < ${behind}::uuid`]),
    ...(from === undefined ? [] : [Prisma.sql`r.id <= ${from}::uuid`]),
    ...ids.map((some) => Prisma.sql`r.id = ANY (${[...some]}::uuid[])`),
    ...observations.map(observedIn),
    ...patientIds.map((some) => Prisma.sql`s.patient_id = ANY (${[...some]}::uuid[])`),
    ...studyIds.map((some) => Prisma.sql`r.study_id = ANY (${[...some]}::uuid[])`),
    ...statuses.map((some) => Prisma.sql`r.status = ANY (${[...some]}::text[])`),
    ...analyses.map(({ named, notAmong }) => Prisma.sql`(r.analysis = ANY (${[...named]}::text[]) ${notAmong ? Prisma.sql`OR r.analysis <> ALL (${[...notAmong]}::text[])` : Prisma.empty})`),
    ...studyDates.map((ranges) => withinAny('s.study_date', ranges)),
    ...createdAt.map((ranges) => withinAny('r.created_at', ranges)),
    ...updatedAt.map((ranges) => withinAny('r.updated_at', ranges)),
    ...modelDigests.map((some) => Prisma.sql`${MODEL_DIGEST} = ANY (${[...some]}::text[])`),
    ...codes.map(coded),
    ...(withObservations === true ? [Prisma.sql`(${FINDINGS} <> '[]'::jsonb OR r.labels <> '[]'::jsonb)`] : []),
  ];
}

function observedIn(some: readonly ({ findingId: string } | { resultId: string })[]): Prisma.Sql {
  const findings = some.flatMap((one) => ('findingId' in one ? [one.findingId] : []));
  const results = some.flatMap((one) => ('resultId' in one ? [one.resultId] : []));
  return Prisma.sql`(${FINDING_IDS} ?| ${findings}::text[] OR r.id = ANY (${results}::uuid[]))`;
}

function coded(some: readonly string[]): Prisma.Sql {
  if (some.length === 0) return Prisma.sql`false`;
  return Prisma.sql`(${Prisma.join(some.map((value) => {
    const one = JSON.stringify([{ code: { value } }]);
    return Prisma.sql`${FINDINGS} @> ${one}::jsonb OR r.labels @> ${one}::jsonb`;
  }), ' OR ')})`;
}

function sourceOf({ findings, labels, segments, provenance, objects, review, signature, organisation, studyId, studyInstanceUid, patientId, studyDate, ...row }: Row): FhirResultSource {
  // `ResultsStore` and `ResultVersionsStore` are the only writers of these columns.
  const from = provenance as Provenance;
  const signOff = review as StoredReview['signOff'];
  return {
    ...row,
    findings: standing(findings as Finding[]), labels: labels as Label[], segments: segments as Segment[], provenance: from,
    study: { id: studyId, studyInstanceUid, patientId, studyDate },
    documents: documentsOf(objects as ObjectRef[]),
    verifier: signOff && { name: signOff.name, organisation: organisation ?? '', at: new Date(signOff.at) },
    signatures: signaturesOf(row.createdAt, from.signature, signature as StoredSignature | null),
  };
}

/** The report is composed when it is asked for; objects are there when they were stored and nothing newer stands in their place. */
function documentsOf(objects: readonly ObjectRef[]): DocumentKind[] {
  return DOCUMENT_KINDS.filter((kind) => kind === 'pdf' || newestOf(objects, kind) !== undefined);
}

/** Of the installation over what the model made, and over what a person signed. */
function signaturesOf(madeAt: Date, made: Provenance['signature'], signed: StoredSignature | null): FhirSignature[] {
  return [
    ...(made ? [{ of: 'source' as const, at: madeAt, keyId: made.keyId, data: base64(made.value) }] : []),
    ...(signed ? [{ of: 'verification' as const, at: new Date(signed.statement.at), keyId: signed.signature.keyId, data: base64(signed.signature.value) }] : []),
  ];
}

function base64(base64Url: string): string {
  return Buffer.from(base64Url, 'base64url').toString('base64');
}
