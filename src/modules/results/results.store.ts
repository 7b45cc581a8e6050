import { Injectable } from '@nestjs/common';
import { Prisma, type Result } from '../../generated/prisma/client.js';
import type { Finding, Label, Provenance, Segment, Summary } from '../../imaging/report/finding.js';
import type { PackedSegmentation } from '../../imaging/volume/packed-labels.js';
import { AppError } from '../../kernel/errors.js';
import type { Transaction } from '../../kernel/transaction.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import type { PreparedResult } from './results.contract.js';

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

/** A result as it is stored; texts are composed when it is read. */
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
  createdAt: Date;
  updatedAt: Date;
}

/** As much of a result as a list shows. */
export type ResultOutline = Pick<ResultRecord, 'id' | 'analysisId' | 'analysis' | 'status' | 'summary' | 'findings' | 'labels' | 'segments'> & { studyId: string };

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
  async insert(tx: Transaction, { id, result, heatMapsBlobKey, segmentationBlobKey }: PreparedResult): Promise<void> {
    const rendering: StoredRendering = {
      keyImage: result.keyImage,
      heatMaps: [],
      heatMapBlob: heatMapsBlobKey === null ? null : { blobKey: heatMapsBlobKey, maps: result.heatMaps.map(({ label, width, height }) => ({ label, width, height })) },
      segmentation: storedSegmentation(result.segmentation, segmentationBlobKey),
    };
    const { institutionId, analysisId, studyId, studyInstanceUid, analysis, summary, findings, labels, segments, provenance } = result;
    const blobKeys = reservedBlobKeys({ heatMapsBlobKey, segmentationBlobKey });
    const claimed = await prismaOf(tx).blobTombstone.deleteMany({ where: { blobKey: { in: blobKeys } } });
    if (claimed.count !== blobKeys.length) throw new AppError('blob-missing');
    await prismaOf(tx).result.create({
      data: {
        id, institutionId, analysisId, studyId, studyInstanceUid, analysis,
        summary: json(summary), findings: json(findings), labels: json(labels), segments: json(segments), provenance: json(provenance), rendering: json(rendering),
      },
    });
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
      ...(critical === undefined ? [] : [Prisma.sql`summary->'critical' = to_jsonb(${critical}::boolean)`]),
      ...(from === undefined ? [] : [Prisma.sql`created_at >= ${from}::timestamptz`]),
      ...(to === undefined ? [] : [Prisma.sql`created_at < ${to}::timestamptz`]),
    ];
    const rows = await this.database.read<Result>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM results WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY id DESC LIMIT ${limit}::int`);
    return rows.map(recordOf);
  }

  /** The newest of each analysis of these studies, as far as their summaries need them. */
  async newestOf(institutionId: string, studyIds: readonly string[]): Promise<ResultOutline[]> {
    if (studyIds.length === 0) return [];
    return this.database.read<ResultOutline>({ institutionId }, Prisma.sql`
      SELECT DISTINCT ON (study_id, analysis) id, study_id AS "studyId", analysis_id AS "analysisId", analysis, status, summary, findings, labels, segments
      FROM results WHERE institution_id = ${institutionId}::uuid AND study_id = ANY (${[...studyIds]}::uuid[]) ORDER BY study_id, analysis, id DESC`);
  }

  async lock(tx: Transaction, institutionId: string, id: string): Promise<boolean> {
    const rows = await prismaOf(tx).$queryRaw<unknown[]>`SELECT 1 FROM results WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR KEY SHARE`;
    return rows.length > 0;
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
  const { id, institutionId, analysisId, studyInstanceUid, analysis, createdAt, updatedAt } = row;
  return {
    id, institutionId, analysisId, studyInstanceUid, analysis, createdAt, updatedAt,
    // `insert` above is the only writer of these columns.
    status: row.status as ResultStatus,
    summary: row.summary as Summary,
    findings: row.findings as unknown as Finding[],
    labels: row.labels as unknown as Label[],
    segments: row.segments as unknown as Segment[],
    provenance: row.provenance as unknown as Provenance,
    rendering: renderingOf(row.rendering),
  };
}

function renderingOf(value: Prisma.JsonValue): Rendering {
  // `insert` above is the only writer of this column.
  const { heatMapBlob, heatMaps, ...rest } = value as unknown as StoredRendering;
  let end = 0;
  const placed = heatMapBlob?.maps.map((map) => ({ ...map, blobKey: heatMapBlob.blobKey, offset: (end += map.width * map.height * 4) - map.width * map.height * 4 }));
  return { ...rest, heatMaps: placed ?? heatMaps.map((map) => ({ ...map, offset: 0 })) };
}
