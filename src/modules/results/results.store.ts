import { Injectable } from '@nestjs/common';
import { Prisma, type Result } from '../../generated/prisma/client.js';
import type { DerivedFault } from '../../imaging/report/derived.js';
import type { Finding, Label, OutOfDistribution, Provenance, Segment, Summary } from '../../imaging/report/finding.js';
import type { PackedSegmentation } from '../../imaging/volume/packed-labels.js';
import { standing } from '../../imaging/report/review.js';
import { AppError } from '../../kernel/errors.js';
import type { RowCondition, Transaction } from '../../kernel/transaction.js';
import { columnsOf } from '../../platform/database/columns.js';
import { conditionOf, Database, prismaOf, sendAlong } from '../../platform/database/database.js';
import type { ObjectRef, PreparedResult } from './results.contract.js';

export type ResultStatus = 'preliminary' | 'final' | 'amended' | 'withheld';

/** What the preview is drawn from. */
export interface Rendering {
  keyImage: { sopInstanceUid: string; blobKey: string; frame: number } | null;
  /** `offset` in bytes of the blob. */
  heatMaps: { label: string; width: number; height: number; blobKey: string; offset: number }[];
  /** Absent in results of versions that segmented nothing. */
  segmentation?: StoredSegmentation | null;
}

/** As it lies in the column. */
interface StoredRendering extends Omit<Rendering, 'heatMaps'> {
  /** Of versions that had a blob for each heat map. Those must not take a part of a common one for the whole. */
  heatMaps: Omit<Rendering['heatMaps'][number], 'offset'>[];
  /** One behind the other in one blob. */
  heatMapBlob?: { blobKey: string; maps: { label: string; width: number; height: number }[] } | null;
}

/** A label map whose values lie in a blob. */
export type StoredSegmentation = Omit<PackedSegmentation, 'packed'> & { blobKey: string };

/** What people made of a result so far. */
export interface ReviewState {
  kind: 'review' | 'amendment' | 'sign-off';
  by: string;
  at: string;
  /** All of them, those that do not stand too. */
  findings: Finding[];
  /** Of this version; null when it is not signed. */
  signOff: { by: string; name: string; at: string; meaning: string } | null;
  /** The newest version that is signed; null when none is. */
  signedVersion: number | null;
}

/** As it lies in the column. */
export type StoredReview = ReviewState & { labels: Label[]; segments: Segment[] };

/** As the model made it. */
export type OriginalContent = Pick<ResultRecord, 'findings' | 'labels' | 'segments'>;

/** A result as it is stored, and as it stands: without the findings that a person has rejected. Texts are composed when it is read. */
export interface ResultRecord {
  id: string;
  institutionId: string;
  analysisId: string;
  studyInstanceUid: string;
  analysis: string;
  status: ResultStatus;
  summary: Summary;
  findings: Finding[];
  labels: Label[];
  segments: Segment[];
  provenance: Provenance;
  rendering: Rendering;
  version: number;
  /** Absent until somebody has looked at it. */
  review?: ReviewState;
  /** SEG and SR of every version. */
  objects: ObjectRef[];
  /** Why it is withheld. */
  faults: DerivedFault[];
  createdAt: Date;
  updatedAt: Date;
}

/** As much of a result as a list shows. */
export type ResultOutline = Pick<ResultRecord, 'id' | 'analysisId' | 'analysis' | 'status' | 'summary' | 'findings' | 'labels' | 'segments'> & { studyId: string; outOfDistribution: OutOfDistribution | null };

type OutlineRow = ResultOutline & { reviewed: StoredReview | null };

export interface ResultFilter {
  studyInstanceUid?: string | undefined;
  analysis?: string | undefined;
  status?: ResultStatus | undefined;
  critical?: boolean | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** Far longer than the moments between the bytes and their row. */
const RESERVATION_MINUTES = 10;

const COLUMNS = columnsOf(Prisma.ResultScalarFieldEnum);

function locking(institutionId: string, id: string): Prisma.Sql {
  return Prisma.sql`SELECT 1 FROM results WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR KEY SHARE`;
}

@Injectable()
export class ResultsStore {
  constructor(private readonly database: Database) {}

  /**
   * Announces blobs before their bytes: a tombstone that falls due when no `insert` follows, so that a crash in between leaves
   * nothing that the sweep does not know of.
   */
  async reserveBlobs(institutionId: string, blobKeys: readonly string[]): Promise<void> {
    if (blobKeys.length === 0) return;
    await this.database.write({ institutionId }, Prisma.sql`
      INSERT INTO blob_tombstones (blob_key, due_at) SELECT key, now() + make_interval(mins => ${RESERVATION_MINUTES}::int) FROM unnest(${[...blobKeys]}::text[]) AS key
      ON CONFLICT (blob_key) DO UPDATE SET due_at = EXCLUDED.due_at`);
  }

  /** @throws AppError `blob-missing` when the sweep has taken a heat map that was reserved too long ago */
  async insert(tx: Transaction, { id, result, heatMapsBlobKey, segmentationBlobKey, objects, faults }: Omit<PreparedResult, 'instances'>): Promise<void> {
    const rendering: StoredRendering = {
      keyImage: result.keyImage,
      heatMaps: [],
      heatMapBlob: heatMapsBlobKey === null ? null : { blobKey: heatMapsBlobKey, maps: result.heatMaps.map(({ label, width, height }) => ({ label, width, height })) },
      segmentation: storedSegmentation(result.segmentation, segmentationBlobKey),
    };
    const { institutionId, analysisId, studyId, studyInstanceUid, analysis, summary, findings, labels, segments, provenance } = result;
    const blobKeys = reservedBlobKeys({ heatMapsBlobKey, segmentationBlobKey });
    const claimed = blobKeys.length === 0 ? 0 : await prismaOf(tx).$executeRaw`DELETE FROM blob_tombstones WHERE blob_key = ANY (${blobKeys}::text[])`;
    if (claimed !== blobKeys.length) throw new AppError('blob-missing');
    const status: ResultStatus = faults.length > 0 ? 'withheld' : 'preliminary';
    const data = JSON.stringify({ objects, faults, summary, findings, labels, segments, provenance, rendering });
    sendAlong(tx, Prisma.sql`
      INSERT INTO results (id, institution_id, analysis_id, study_id, study_instance_uid, analysis, status, objects, faults, summary, findings, labels, segments, provenance, rendering, updated_at)
      SELECT ${id}::uuid, ${institutionId}::uuid, ${analysisId}::uuid, ${studyId}::uuid, ${studyInstanceUid}, ${analysis}, ${status}, data.objects, data.faults, data.summary, data.findings, data.labels, data.segments, data.provenance, data.rendering, now()
      FROM jsonb_to_record(${data}::jsonb) AS data (objects jsonb, faults jsonb, summary jsonb, findings jsonb, labels jsonb, segments jsonb, provenance jsonb, rendering jsonb)`);
  }

  async find(institutionId: string, id: string): Promise<ResultRecord | null> {
    const [row] = await this.database.read<Result>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM results WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return row ? recordOf(row) : null;
  }

  /** Newest first; `cursor` is the last id of the page before. */
  async list(institutionId: string, filter: ResultFilter, limit: number, cursor: string | undefined): Promise<ResultRecord[]> {
    const { studyInstanceUid, analysis, status, critical, from, to } = filter;
    const conditions = [
      Prisma.sql`institution_id = ${institutionId}::uuid`,
      ...(cursor === undefined ? [] : [Prisma.sql`id < ${cursor}::uuid`]),
      ...(studyInstanceUid === undefined ? [] : [Prisma.sql`study_instance_uid = ${studyInstanceUid}`]),
      ...(analysis === undefined ? [] : [Prisma.sql`analysis = ${analysis}`]),
      ...(status === undefined ? [] : [Prisma.sql`status = ${status}`]),
      ...(critical === undefined ? [] : [Prisma.sql`(status <> 'withheld' AND summary->'critical' = to_jsonb(true)) = ${critical}::boolean`]),
      ...(from === undefined ? [] : [Prisma.sql`created_at >= ${from}::timestamptz`]),
      ...(to === undefined ? [] : [Prisma.sql`created_at < ${to}::timestamptz`]),
    ];
    const rows = await this.database.read<Result>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM results WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY id DESC LIMIT ${limit}::int`);
    return rows.map(recordOf);
  }

  /** Of each study the newest result of one analysis; withheld ones are nobody's. In no order. */
  async newestOfStudies(institutionId: string, analysis: string, studyInstanceUids: readonly string[]): Promise<ResultRecord[]> {
    const rows = await this.database.read<Result>({ institutionId }, Prisma.sql`
      SELECT DISTINCT ON (study_instance_uid) ${COLUMNS} FROM results
      WHERE institution_id = ${institutionId}::uuid AND analysis = ${analysis} AND study_instance_uid = ANY (${[...studyInstanceUids]}::text[]) AND status <> 'withheld'
      ORDER BY study_instance_uid, id DESC`);
    return rows.map(recordOf);
  }

  /** As the model made it. */
  async original(institutionId: string, id: string): Promise<(ResultRecord & { studyId: string }) | null> {
    const [row] = await this.database.read<Result>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM results WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return row ? { ...recordOf({ ...row, reviewed: null }), studyId: row.studyId } : null;
  }

  /** Holds the row until the transaction ends, so that reviews come one after the other. */
  async lockForReview(tx: Transaction, institutionId: string, id: string): Promise<{ record: ResultRecord; original: OriginalContent } | null> {
    const [row] = await prismaOf(tx).$queryRaw<Result[]>`SELECT ${COLUMNS} FROM results WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR NO KEY UPDATE`;
    return row ? { record: recordOf(row), original: recordOf({ ...row, reviewed: null }) } : null;
  }

  async review(tx: Transaction, id: string, { version, status, reviewed }: { version: number; status: ResultStatus; reviewed: StoredReview }): Promise<ResultRecord> {
    return recordOf(await prismaOf(tx).result.update({ where: { id }, data: { version, status, reviewed: json(reviewed) } }));
  }

  /** Of a version that was signed. The result reads as before, so its ETag stays. The row must be locked. */
  async addObjects(tx: Transaction, id: string, objects: readonly ObjectRef[]): Promise<void> {
    await prismaOf(tx).$executeRaw`UPDATE results SET objects = objects || ${JSON.stringify(objects)}::jsonb WHERE id = ${id}::uuid`;
  }

  /** The newest of each analysis of these studies, as far as their summaries need them. */
  async newestOf(institutionId: string, studyIds: readonly string[]): Promise<ResultOutline[]> {
    if (studyIds.length === 0) return [];
    const rows = await this.database.read<OutlineRow>({ institutionId }, Prisma.sql`
      SELECT DISTINCT ON (study_id, analysis) id, study_id AS "studyId", analysis_id AS "analysisId", analysis, status, summary, findings, labels, segments, provenance -> 'outOfDistribution' AS "outOfDistribution", reviewed
      FROM results WHERE institution_id = ${institutionId}::uuid AND study_id = ANY (${[...studyIds]}::uuid[]) ORDER BY study_id, analysis, id DESC`);
    return rows.map(({ reviewed, ...outline }) => (reviewed ? { ...outline, findings: standing(reviewed.findings), labels: reviewed.labels, segments: reviewed.segments } : outline));
  }

  async lock(tx: Transaction, institutionId: string, id: string): Promise<boolean> {
    return (await prismaOf(tx).$queryRaw<unknown[]>(locking(institutionId, id))).length > 0;
  }

  whileKept(institutionId: string, id: string): RowCondition {
    return conditionOf(locking(institutionId, id));
  }

  /** Removes the results of a study that is gone, and leaves their heat maps to the sweep. Gives how many there were. */
  async deleteOfStudy(tx: Transaction, institutionId: string, studyId: string): Promise<number> {
    const rows = await prismaOf(tx).result.findMany({ where: { institutionId, studyId }, select: { rendering: true } });
    const data = rows.flatMap(({ rendering }) => blobKeysOf(rendering)).map((blobKey) => ({ blobKey }));
    if (data.length > 0) await prismaOf(tx).blobTombstone.createMany({ data, skipDuplicates: true });
    // What models in the shadow concluded was nobody's result, so it does not count.
    await prismaOf(tx).shadowResult.deleteMany({ where: { institutionId, studyId } });
    const { count } = await prismaOf(tx).result.deleteMany({ where: { institutionId, studyId } });
    return count;
  }
}

/** The blobs of one try. */
export function reservedBlobKeys({ heatMapsBlobKey, segmentationBlobKey }: Pick<PreparedResult, 'heatMapsBlobKey' | 'segmentationBlobKey'>): string[] {
  return [heatMapsBlobKey, segmentationBlobKey].filter((key) => key !== null);
}

function storedSegmentation(segmentation: PackedSegmentation | null, blobKey: string | null): StoredSegmentation | null {
  if (!segmentation || blobKey === null) return null;
  const { grid, seriesInstanceUid, frames, members, slices } = segmentation;
  return { grid, seriesInstanceUid, frames, members, slices, blobKey };
}

/** Every blob that a result owns, by its column `rendering`. */
export function blobKeysOf(column: Prisma.JsonValue): string[] {
  const { heatMaps, segmentation } = renderingOf(column);
  return [...new Set([...heatMaps.map(({ blobKey }) => blobKey), ...(segmentation ? [segmentation.blobKey] : [])])];
}

/** Plain data of our own types. */
function json(value: object): Prisma.InputJsonValue {
  return value;
}

function recordOf(row: Result): ResultRecord {
  const { id, institutionId, analysisId, studyInstanceUid, analysis, version, createdAt, updatedAt } = row;
  // `insert` and `review` above are the only writers of these columns.
  const reviewed = row.reviewed as unknown as StoredReview | null;
  return {
    id, institutionId, analysisId, studyInstanceUid, analysis, version, createdAt, updatedAt,
    status: row.status as ResultStatus,
    summary: row.summary as Summary,
    findings: reviewed ? standing(reviewed.findings) : (row.findings as unknown as Finding[]),
    labels: reviewed ? reviewed.labels : (row.labels as unknown as Label[]),
    segments: reviewed ? reviewed.segments : (row.segments as unknown as Segment[]),
    provenance: row.provenance as unknown as Provenance,
    rendering: renderingOf(row.rendering),
    ...(reviewed && { review: reviewOf(reviewed) }),
    objects: row.objects as unknown as ObjectRef[],
    faults: row.faults as unknown as DerivedFault[],
  };
}

function reviewOf({ kind, by, at, findings, signOff, signedVersion }: StoredReview): ReviewState {
  return { kind, by, at, findings, signOff, signedVersion };
}

function renderingOf(value: Prisma.JsonValue): Rendering {
  // `insert` above is the only writer of this column.
  const { heatMapBlob, heatMaps, ...rest } = value as unknown as StoredRendering;
  let end = 0;
  const placed = heatMapBlob?.maps.map((map) => ({ ...map, blobKey: heatMapBlob.blobKey, offset: (end += map.width * map.height * 4) - map.width * map.height * 4 }));
  return { ...rest, heatMaps: placed ?? heatMaps.map((map) => ({ ...map, offset: 0 })) };
}
