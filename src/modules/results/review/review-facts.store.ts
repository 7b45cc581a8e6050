import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Prisma } from '../../../generated/prisma/client.js';
import type { ResultFacts, ReviewFacts } from '../../../imaging/report/review-figures.js';
import { NEGATIVE_LABELS } from '../../../imaging/report/terms.js';
import { Database, type Scope } from '../../../platform/database/database.js';
import { ReviewedResults } from '../results.contract.js';

type Row = Omit<ResultFacts, 'input' | 'review'> & { analysisId: string; input: unknown; counts: Omit<ReviewFacts, 'labels'> | null; labels: { name: string; positive: boolean; state: string }[] | null };

const inputSchema = z.record(z.string(), z.number()).catch({});

/** What persons made of results, counted in the database: of results nothing else leaves it. */
@Injectable()
export class StoredReviewedResults extends ReviewedResults {
  constructor(private readonly database: Database) {
    super();
  }

  async facts(scope: Scope, analysisIds: readonly string[]): Promise<ReadonlyMap<string, ResultFacts>> {
    if (analysisIds.length === 0) return new Map();
    const rows = await this.database.read<Row>(scope, Prisma.sql`
      SELECT r.analysis_id AS "analysisId", r.study_instance_uid AS "studyInstanceUid", r.created_at AS "createdAt",
        r.provenance #>> '{details,source,station}' AS station, r.provenance #>> '{details,source,scanner}' AS scanner, r.provenance #> '{details,source,input}' AS input,
        greatest((${TOP_LABEL}), (SELECT max((f ->> 'score')::float8) FROM jsonb_array_elements(r.findings) f)) AS "topScore",
        CASE WHEN r.reviewed IS NOT NULL THEN (${COUNTS}) END AS counts, CASE WHEN r.reviewed IS NOT NULL THEN (${LABELS}) END AS labels
      FROM results r WHERE r.analysis_id = ANY (${[...analysisIds]}::uuid[])`);
    return new Map(rows.map(({ analysisId, input, counts, labels, ...rest }) => [analysisId, { ...rest, input: inputSchema.parse(input), review: counts && { ...counts, labels: (labels ?? []).map(judged) } }]));
  }
}

/** Of the labels that say that something was found: one model is as sure of a healthy chest as another time of a sick one. */
const TOP_LABEL = Prisma.sql`
  SELECT max((l ->> 'probability')::float8) FROM jsonb_array_elements(r.labels) l WHERE regexp_replace(lower(trim(l ->> 'name')), '[[:space:]_-]+', ' ', 'g') <> ALL (${[...NEGATIVE_LABELS]}::text[])`;

/** Findings of the model are those that `findings` has; all others are of persons. */
const COUNTS = Prisma.sql`
  SELECT json_build_object(
    'accepted', count(*) FILTER (WHERE own AND state = 'accepted'), 'bySignOff', count(*) FILTER (WHERE own AND state = 'accepted' AND implied), 'edited', count(*) FILTER (WHERE own AND state = 'edited'),
    'rejected', count(*) FILTER (WHERE own AND state = 'rejected'), 'falsePositives', count(*) FILTER (WHERE own AND state = 'rejected' AND reason NOT IN ('duplicate', 'not-relevant')),
    'added', count(*) FILTER (WHERE NOT own AND state <> 'rejected'))
  FROM (
    SELECT r.findings @> jsonb_build_array(jsonb_build_object('id', f -> 'id')) AS own, f #>> '{review,state}' AS state, f #>> '{review,reason}' AS reason, coalesce((f #>> '{review,bySignOff}')::boolean, false) AS implied
    FROM jsonb_array_elements(r.reviewed -> 'findings') f
  ) judged`;

const LABELS = Prisma.sql`
  SELECT json_agg(json_build_object('name', l -> 'name', 'positive', l -> 'positive', 'state', l #> '{review,state}')) FROM jsonb_array_elements(r.reviewed -> 'labels') l WHERE l ? 'review'`;

/** A label reads as it stands: the other way round than the model has it where a person disagrees. */
function judged({ name, positive, state }: { name: string; positive: boolean; state: string }): ReviewFacts['labels'][number] {
  const agreed = state === 'agreed';
  return { name, modelPositive: agreed ? positive : !positive, agreed };
}
