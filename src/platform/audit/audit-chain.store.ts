import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { Database, type Scope } from '../database/database.js';
import type { Checkpoint, Head, Seal } from './audit-chain.js';
import type { StoredAuditEvent } from './audit-event.js';
import { EVENT_COLUMNS, WRITERS_LOCK } from './audit-events.store.js';

/** How long the sealer waits for writers, and they for it. A writer whose process hangs ends by itself. */
const WRITERS_PATIENCE = '200ms';

/** What PostgreSQL has given out: a forged row with a higher number must not make all that come after it look sealed. */
const ISSUED = Prisma.raw(`coalesce(pg_sequence_last_value('audit_events_sequence_seq'), 0)`);
const END = Prisma.raw(`chain.id AS "institutionId", h.position, h.hash, h.sequence, h.checkpoints, h.updated_at AS "updatedAt", h.mac AS "headMac", s.position AS "lastPosition", s.hash AS "lastHash"`);
const LAST_SEAL = Prisma.raw('(SELECT position, hash FROM audit_seals WHERE institution_id = chain.id ORDER BY position DESC LIMIT 1)');
const CHAINS = Prisma.raw(`
  WITH RECURSIVE written AS (
    (SELECT institution_id AS id FROM audit_events ORDER BY institution_id LIMIT 1)
    UNION ALL
    SELECT (SELECT e.institution_id FROM audit_events e WHERE e.institution_id > w.id ORDER BY e.institution_id LIMIT 1) FROM written w WHERE w.id IS NOT NULL
  ), chains AS (
    SELECT institution_id AS id FROM audit_heads UNION SELECT id FROM written WHERE id IS NOT NULL
  )`);
const SEAL = Prisma.raw('s.institution_id AS "institutionId", s.position, s.event_id AS "eventId", s.hash, s.sealed_at AS "sealedAt"');
const CHECKPOINT = Prisma.raw('c.id, c.institution_id AS "institutionId", c.number, c.position, c.hash, c.at, c.kid, c.signature');

/** A chain as its sealer finds it. */
export interface ChainEnd {
  institutionId: string;
  head: Head | null;
  /** The seal with the highest position. */
  last: Pick<Seal, 'position' | 'hash'> | null;
}

/** A seal and the event that it names, which may be gone. */
export interface Link {
  seal: Seal;
  event: StoredAuditEvent | null;
}

type EndRow = Omit<Head, 'mac'> & { headMac: Uint8Array | null; lastPosition: bigint | null; lastHash: Uint8Array | null };
type LinkRow = Omit<Seal, 'institutionId'> & Omit<StoredAuditEvent, 'id'> & { id: string | null };

/** Seals, heads and checkpoints. */
@Injectable()
export class AuditChainStore {
  constructor(private readonly database: Database) {}

  /** Whether any event is newer than every head: the cheap question before the work. */
  async hasNews(): Promise<boolean> {
    const [row] = await this.database.read<{ newest: bigint | null; sealed: bigint | null }>('system', Prisma.sql`
      SELECT (SELECT max(sequence) FROM audit_events WHERE sequence <= ${ISSUED}) AS newest, (SELECT max(sequence) FROM audit_heads) AS sealed`);
    return row?.newest != null && row.newest !== row.sealed;
  }

  /** The highest sequence below which no event is still to come. @throws when writers keep their lock too long */
  async settledSequence(): Promise<bigint> {
    const [, , rows] = await this.database.writeAll('system', [
      Prisma.sql`SELECT set_config('lock_timeout', ${WRITERS_PATIENCE}, true)`,
      Prisma.sql`SELECT pg_advisory_xact_lock(${WRITERS_LOCK}::bigint)`,
      Prisma.sql`SELECT coalesce(max(sequence), 0) AS sequence FROM audit_events WHERE sequence <= ${ISSUED}`,
    ]);
    // Cast above.
    return (rows?.[0] as { sequence: bigint } | undefined)?.sequence ?? 0n;
  }

  /** Ends of all chains, from one institution in the index to the next, so that a chain is found that has no head yet while others are already ahead of it; `upTo`: of those that have events up to this sequence which are not sealed. */
  async ends(upTo?: bigint): Promise<ChainEnd[]> {
    const rows = await this.database.read<EndRow>('system', Prisma.sql`
      ${CHAINS}
      SELECT ${END} FROM chains chain LEFT JOIN audit_heads h ON h.institution_id = chain.id LEFT JOIN LATERAL ${LAST_SEAL} s ON true
      WHERE ${upTo ?? null}::bigint IS NULL OR EXISTS (SELECT FROM audit_events e WHERE e.institution_id = chain.id AND e.sequence > coalesce(h.sequence, 0) AND e.sequence <= ${upTo ?? null}::bigint)
      ORDER BY chain.id`);
    return rows.map(endOf);
  }

  /** How old the oldest event is that its chain does not have yet; 0 when there is none. */
  async oldestUnsealedSeconds(): Promise<number> {
    const [row] = await this.database.read<{ seconds: number }>('system', Prisma.sql`
      ${CHAINS}
      SELECT coalesce(max(extract(epoch FROM now() - oldest.at)), 0)::double precision AS seconds
      FROM chains chain LEFT JOIN audit_heads h ON h.institution_id = chain.id
      CROSS JOIN LATERAL (SELECT e.at FROM audit_events e WHERE e.institution_id = chain.id AND e.sequence > coalesce(h.sequence, 0) AND e.sequence <= ${ISSUED} ORDER BY e.sequence LIMIT 1) oldest`);
    // Writers have clocks of their own.
    return Math.max(0, row?.seconds ?? 0);
  }

  /** By sequence. */
  async eventsBetween(institutionId: string, after: bigint, upTo: bigint, limit: number): Promise<StoredAuditEvent[]> {
    return this.database.read<StoredAuditEvent>('system', Prisma.sql`
      SELECT ${EVENT_COLUMNS} FROM audit_events e WHERE e.institution_id = ${institutionId}::uuid AND e.sequence > ${after}::bigint AND e.sequence <= ${upTo}::bigint ORDER BY e.sequence LIMIT ${limit}`);
  }

  /** @throws when another process has put seals at these positions meanwhile; then nothing was written */
  async append(seals: readonly Seal[], heads: readonly Head[]): Promise<void> {
    await this.database.writeAll('system', [
      Prisma.sql`
        INSERT INTO audit_seals (institution_id, position, event_id, hash, sealed_at)
        SELECT * FROM unnest(${seals.map(({ institutionId }) => institutionId)}::uuid[], ${seals.map(({ position }) => position)}::bigint[], ${seals.map(({ eventId }) => eventId)}::uuid[],
          ${seals.map(({ hash }) => hash)}::bytea[], ${seals.map(({ sealedAt }) => sealedAt.toISOString())}::timestamptz[])`,
      putHeads(heads),
    ]);
  }

  /** @throws when another process has signed this one meanwhile */
  async addCheckpoint({ id, institutionId, number, position, hash, at, kid, signature }: Checkpoint, head: Head): Promise<void> {
    await this.database.writeAll('system', [
      // Behind a sealer that works on this chain: its head is newer then, and the checkpoint waits for the next time.
      Prisma.sql`
        INSERT INTO audit_checkpoints (id, institution_id, number, position, hash, at, kid, signature)
        SELECT ${id}::uuid, ${institutionId}::uuid, ${number}::bigint, CASE WHEN h.position = ${position}::bigint THEN h.position END, ${hash}, ${at.toISOString()}::timestamptz, ${kid}, ${signature}
        FROM audit_heads h WHERE h.institution_id = ${institutionId}::uuid FOR UPDATE`,
      putHeads([head]),
    ]);
  }

  /** Position of each chain's newest checkpoint. */
  async checkpointed(): Promise<Map<string, bigint>> {
    const rows = await this.database.read<{ institutionId: string; position: bigint }>('system', Prisma.sql`
      SELECT h.institution_id AS "institutionId", c.position FROM audit_heads h JOIN audit_checkpoints c ON c.institution_id = h.institution_id AND c.number = h.checkpoints`);
    return new Map(rows.map(({ institutionId, position }) => [institutionId, position]));
  }

  /** Everything that has a chain, or should. */
  async institutions(): Promise<string[]> {
    const rows = await this.database.read<{ id: string }>('system', Prisma.sql`
      SELECT institution_id AS id FROM audit_heads UNION SELECT institution_id FROM audit_seals UNION SELECT institution_id FROM audit_checkpoints UNION SELECT institution_id FROM audit_events ORDER BY 1`);
    return rows.map(({ id }) => id);
  }

  /** As of one moment. */
  async end(scope: Scope, institutionId: string): Promise<ChainEnd> {
    const [row] = await this.database.read<EndRow>(scope, Prisma.sql`
      SELECT ${END} FROM (SELECT ${institutionId}::uuid AS id) chain LEFT JOIN audit_heads h ON h.institution_id = chain.id LEFT JOIN LATERAL ${LAST_SEAL} s ON true`);
    return row ? endOf(row) : { institutionId, head: null, last: null };
  }

  /** Seals after a position, in order, each with its event. */
  async links(scope: Scope, institutionId: string, after: bigint | null, limit: number): Promise<Link[]> {
    const rows = await this.database.read<LinkRow>(scope, Prisma.sql`
      SELECT s.position, s.event_id AS "eventId", s.hash, s.sealed_at AS "sealedAt", ${EVENT_COLUMNS}
      FROM audit_seals s LEFT JOIN audit_events e ON e.id = s.event_id
      WHERE s.institution_id = ${institutionId}::uuid AND (${after}::bigint IS NULL OR s.position > ${after}::bigint) ORDER BY s.position LIMIT ${limit}`);
    return rows.map(({ position, eventId, hash, sealedAt, ...event }) => ({
      seal: { institutionId, position, eventId, hash, sealedAt },
      // Without the event all its columns are null.
      event: event.id === null ? null : (event as StoredAuditEvent),
    }));
  }

  /** @returns undefined when no seal is there */
  async sealAt(scope: Scope, institutionId: string, position: bigint): Promise<Seal | undefined> {
    const [row] = await this.database.read<Seal>(scope, Prisma.sql`SELECT ${SEAL} FROM audit_seals s WHERE s.institution_id = ${institutionId}::uuid AND s.position = ${position}::bigint`);
    return row;
  }

  /** By number. */
  async checkpoints(scope: Scope, institutionId: string, after: bigint | null, limit: number): Promise<(Checkpoint & { sealed: Uint8Array | null })[]> {
    return this.database.read<Checkpoint & { sealed: Uint8Array | null }>(scope, Prisma.sql`
      SELECT ${CHECKPOINT}, s.hash AS sealed FROM audit_checkpoints c LEFT JOIN audit_seals s ON s.institution_id = c.institution_id AND s.position = c.position
      WHERE c.institution_id = ${institutionId}::uuid AND (${after}::bigint IS NULL OR c.number > ${after}::bigint) ORDER BY c.number LIMIT ${limit}`);
  }
}

function putHeads(heads: readonly Head[]): Prisma.Sql {
  return Prisma.sql`
    INSERT INTO audit_heads (institution_id, position, hash, sequence, checkpoints, updated_at, mac)
    SELECT * FROM unnest(${heads.map(({ institutionId }) => institutionId)}::uuid[], ${heads.map(({ position }) => position)}::bigint[], ${heads.map(({ hash }) => hash)}::bytea[],
      ${heads.map(({ sequence }) => sequence)}::bigint[], ${heads.map(({ checkpoints }) => checkpoints)}::bigint[], ${heads.map(({ updatedAt }) => updatedAt.toISOString())}::timestamptz[], ${heads.map(({ mac }) => mac)}::bytea[])
    ON CONFLICT (institution_id) DO UPDATE SET position = excluded.position, hash = excluded.hash, sequence = excluded.sequence, checkpoints = excluded.checkpoints, updated_at = excluded.updated_at, mac = excluded.mac`;
}

function endOf({ headMac, lastPosition, lastHash, ...head }: EndRow): ChainEnd {
  return {
    institutionId: head.institutionId,
    head: headMac === null ? null : { ...head, mac: headMac },
    last: lastPosition === null || lastHash === null ? null : { position: lastPosition, hash: lastHash },
  };
}
