import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { Database } from '../../../platform/database/database.js';
import { STALE_SECONDS } from '../claims.store.js';
import { RUN_COLUMNS, type RunRow } from '../runs.store.js';
import { LONGEST_SHARE_SECONDS, SHARE_HALF_LIFE_SECONDS } from './shares.js';

/** Who asks for work, and with what room. */
export interface Claimant {
  workerId: string;
  device: { name: string; kind: 'cpu' | 'gpu'; budgetMb: number };
  /** After so long in the queue a run ranks with the next higher priority. */
  agingSeconds: number;
  /** Digests of models whose files it lacks: their runs are left to others. */
  lacking: readonly string[];
}

export interface Claimed {
  run: RunRow | undefined;
  /** Runs wait that could not be taken now: too large for the room there is, or not ready. */
  waiting: boolean;
}

/** Of each institution and priority only so many are looked at: all but the first matter only when the first does not fit. */
const HEADS = 8;
/** A run that waits for room for longer holds back those behind it, so that small ones do not keep it out for ever. */
const PATIENCE_SECONDS = 60;
/** What a run is thought to take until somebody says or measures it. */
const UNKNOWN_MB = 512;

const READY = Prisma.sql`status = 'queued' AND (not_before IS NULL OR not_before <= now())`;

/** The queue of runs as workers see it. The rows are the queue; jobs of BullMQ only wake workers. */
@Injectable()
export class QueueStore {
  constructor(private readonly database: Database) {}

  /**
   * Takes the best run that waits and fits: by priority with aging; then of the institution that computed least of late; then the one that
   * waits longest. One claim at a time in the installation, so that what two workers take is decided one after the other and the memory of a
   * device is never given twice.
   */
  async claim({ workerId, device, agingSeconds, lacking }: Claimant): Promise<Claimed> {
    const [, rows, left] = await this.database.writeAll('system', [
      // Waits in a statement of its own: the next one then sees what the claim before did.
      Prisma.sql`SELECT pg_advisory_xact_lock(hashtext('healthvision.claims'))`,
      Prisma.sql`
        WITH ranked AS (${ranked(device, agingSeconds, lacking)}),
        room AS (
          SELECT ${device.budgetMb}::int - coalesce(sum(memory_mb), 0)::int AS mb FROM analysis_runs
          WHERE status = 'running' AND device = ${device.name} AND heartbeat_at >= now() - make_interval(secs => ${STALE_SECONDS}::double precision)
        ),
        held_back AS (SELECT min(rank) AS rank FROM ranked, room WHERE need > mb AND queued_at < now() - make_interval(secs => ${PATIENCE_SECONDS}::double precision)),
        picked AS (
          SELECT r.id, c.need FROM ranked c JOIN analysis_runs r ON r.id = c.id, room, held_back
          WHERE c.need <= room.mb AND (held_back.rank IS NULL OR c.rank < held_back.rank) AND r.status = 'queued'
          ORDER BY c.rank LIMIT 1 FOR UPDATE OF r SKIP LOCKED
        )
        UPDATE analysis_runs SET ${claimedBy(workerId, device.name)}, memory_mb = (SELECT need FROM picked) WHERE id = (SELECT id FROM picked) RETURNING ${RUN_COLUMNS}`,
      Prisma.sql`SELECT EXISTS (SELECT FROM analysis_runs WHERE status = 'queued') AS waiting`,
    ]);
    // Rows of the statements above.
    return { run: rows?.[0] as RunRow | undefined, waiting: left?.[0]?.waiting === true };
  }

  /**
   * Takes more runs of the same model and priority, to be computed together with one that was taken: from all institutions in turn. They need
   * no memory of their own.
   */
  async claimAlike({ workerId, device }: Claimant, { modelDigest, priority }: RunRow, limit: number): Promise<RunRow[]> {
    const [, rows] = await this.database.writeAll('system', [
      Prisma.sql`SELECT pg_advisory_xact_lock(hashtext('healthvision.claims'))`,
      Prisma.sql`
        WITH heads AS (
          SELECT h.id, h.model_digest, row_number() OVER (PARTITION BY i.id ORDER BY h.queued_at, h.id) AS turn, h.queued_at
          FROM institutions i CROSS JOIN LATERAL (
            SELECT id, model_digest, queued_at FROM analysis_runs WHERE ${READY} AND institution_id = i.id AND priority = ${priority} ORDER BY queued_at, id LIMIT ${limit}::int
          ) h WHERE h.model_digest = ${modelDigest}
        ),
        picked AS (SELECT r.id FROM heads h JOIN analysis_runs r ON r.id = h.id WHERE r.status = 'queued' ORDER BY h.turn, h.queued_at, r.id LIMIT ${limit}::int FOR UPDATE OF r SKIP LOCKED)
        UPDATE analysis_runs SET ${claimedBy(workerId, device.name)}, memory_mb = 0 WHERE id IN (SELECT id FROM picked) RETURNING ${RUN_COLUMNS}`,
    ]);
    return (rows ?? []) as RunRow[];
  }

  /** Remembers the most memory that a model's runs took. */
  async learn(modelDigest: string, kind: 'cpu' | 'gpu', peakMb: number): Promise<void> {
    await this.database.write('system', Prisma.sql`
      INSERT INTO model_resources (model_digest, kind, peak_mb) VALUES (${modelDigest}, ${kind}, ${peakMb}::int)
      ON CONFLICT (model_digest, kind) DO UPDATE SET peak_mb = excluded.peak_mb, updated_at = now() WHERE model_resources.peak_mb < excluded.peak_mb`);
  }

  /** Adds what runs cost to what their institutions computed before. @param shares  institution and seconds */
  async addShares(shares: readonly (readonly [string, number])[]): Promise<void> {
    // In one order for all processes, so that none waits for another that waits for it.
    const ordered = [...shares].sort(([a], [b]) => (a < b ? -1 : 1));
    await this.database.write('system', Prisma.sql`
      INSERT INTO compute_shares AS share (institution_id, seconds, at)
      SELECT id, seconds, now() FROM unnest(${ordered.map(([id]) => id)}::uuid[], ${ordered.map(([, seconds]) => seconds)}::double precision[]) AS given (id, seconds)
      ON CONFLICT (institution_id) DO UPDATE SET at = now(), seconds = excluded.seconds + share.seconds * power(0.5, extract(epoch FROM now() - share.at) / ${SHARE_HALF_LIFE_SECONDS}::double precision)`);
  }
}

function claimedBy(workerId: string, device: string): Prisma.Sql {
  return Prisma.sql`fence = fence + 1, status = 'running', stage = 'read', progress = 0, worker_id = ${workerId}, heartbeat_at = now(), device = ${device},
    attempts = attempts + 1, started_at = coalesce(started_at, now()), updated_at = now()`;
}

/** The heads of the queue with their place in it and the memory that each needs on this kind of device; no need is above the budget, or it could never run. */
function ranked({ kind, budgetMb }: Claimant['device'], agingSeconds: number, lacking: readonly string[]): Prisma.Sql {
  const able = lacking.length === 0 ? Prisma.empty : Prisma.sql`AND model_digest <> ALL (${[...lacking]}::text[])`;
  return Prisma.sql`
    SELECT h.id, h.queued_at,
      least(greatest(coalesce((m.manifest #>> '{resources,peakMemoryMb}')::numeric::int, 0), coalesce(s.peak_mb, 0), CASE WHEN s.peak_mb IS NULL AND m.manifest #> '{resources,peakMemoryMb}' IS NULL THEN ${UNKNOWN_MB}::int ELSE 0 END), ${budgetMb}::int) AS need,
      row_number() OVER (ORDER BY greatest(0, h.level - floor(extract(epoch FROM now() - h.queued_at) / ${agingSeconds}::double precision)), coalesce(l.seconds, 0), h.queued_at, h.id) AS rank
    FROM (
      SELECT r.*, p.level FROM institutions i CROSS JOIN (VALUES ('stat', 0), ('routine', 1), ('research', 2)) AS p (priority, level)
      CROSS JOIN LATERAL (
        SELECT id, institution_id, queued_at, model_id, model_digest FROM analysis_runs WHERE ${READY} ${able} AND institution_id = i.id AND priority = p.priority ORDER BY queued_at, id LIMIT ${HEADS}::int
      ) r
    ) h
    LEFT JOIN models m ON m.id = h.model_id
    LEFT JOIN model_resources s ON s.model_digest = h.model_digest AND s.kind = ${kind}
    LEFT JOIN (
      SELECT institution_id, sum(seconds) AS seconds FROM (
        SELECT institution_id, seconds * power(0.5, extract(epoch FROM now() - at) / ${SHARE_HALF_LIFE_SECONDS}::double precision) AS seconds FROM compute_shares
        UNION ALL
        SELECT institution_id, 1 + least(extract(epoch FROM now() - coalesce(started_at, now())), ${LONGEST_SHARE_SECONDS}::double precision) FROM analysis_runs WHERE status = 'running'
      ) each_share GROUP BY institution_id
    ) l ON l.institution_id = h.institution_id`;
}
