import type pg from 'pg';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { randomOf } from '../../support/random.mjs';

/** What was done to the audit trail, and what verification must name. */
export interface Tampering {
  what: string;
  institutionId: string;
  /** null: any. */
  position: bigint | null;
  eventId?: string;
  fault: RegExp;
}

interface Row { [column: string]: unknown; institution_id: string; position: string; id: string; event_id: string }

/** Changes one value to another one of its type. */
const OTHER: Record<string, (column: string) => string> = {
  uuid: (column) => `CASE WHEN ${column} IS NULL THEN gen_random_uuid() ELSE gen_random_uuid() END`,
  text: (column) => `coalesce(${column}, '') || 'x'`,
  timestamptz: (column) => `${column} + interval '1 millisecond'`,
  integer: (column) => `coalesce(${column}, 0) + 1`,
  bigint: (column) => `${column} + 1000000`,
  bytea: (column) => `set_byte(${column}, 3, (get_byte(${column}, 3) + 1) % 256)`,
  uuids: (column) => `${column} || gen_random_uuid()`,
  texts: (column) => `${column} || 'x'::text`,
  jsonb: (column) => `${column} || '{"x": 1}'`,
};

const EVENT_COLUMNS: Record<string, string> = {
  id: 'uuid', sequence: 'bigint', institution_id: 'uuid', at: 'timestamptz', actor_kind: 'text', actor_id: 'uuid', user_id: 'uuid', role: 'text', source: 'text', action: 'text', outcome: 'text', status: 'integer', code: 'text',
  patient_ids: 'uuids', study_instance_uids: 'texts', object: 'text', purpose: 'text', reason: 'text', request_id: 'text', details: 'jsonb', mac: 'bytea',
};
const SEAL_COLUMNS: Record<string, string> = { institution_id: 'uuid', position: 'bigint', event_id: 'uuid', hash: 'bytea', sealed_at: 'timestamptz' };
const HEAD_COLUMNS: Record<string, string> = { institution_id: 'uuid', position: 'bigint', hash: 'bytea', sequence: 'bigint', checkpoints: 'bigint', updated_at: 'timestamptz', mac: 'bytea' };
const CHECKPOINT_COLUMNS: Record<string, string> = { id: 'uuid', institution_id: 'uuid', number: 'bigint', position: 'bigint', hash: 'bytea', at: 'timestamptz', kid: 'text', signature: 'bytea' };
const TABLES = ['audit_events', 'audit_seals', 'audit_heads', 'audit_checkpoints'] as const;

/** Bends a sealed audit trail as a superuser can, in every way in turn; and mends it. */
export class Tamperer {
  private readonly random: () => number;

  constructor(private readonly sql: pg.Client, seed: number) {
    this.random = randomOf(seed);
  }

  async prepare(): Promise<void> {
    await this.sql.query(`SET session_replication_role = 'replica'`);
    for (const table of TABLES) await this.sql.query(`CREATE TABLE IF NOT EXISTS saved_${table} AS TABLE ${table}`);
  }

  async mend(): Promise<void> {
    await this.sql.query('BEGIN');
    for (const table of TABLES) await this.sql.query(`DELETE FROM ${table}`);
    for (const table of TABLES) await this.sql.query(`INSERT INTO ${table} SELECT * FROM saved_${table}`);
    await this.sql.query('COMMIT');
  }

  async tamper(turn: number): Promise<Tampering> {
    const ways = [
      () => this.updateEvent(turn), () => this.updateEvent(turn), () => this.deleteEvent(), () => this.insertEvent(), () => this.swapEvents(),
      () => this.updateSeal(turn), () => this.deleteSeal(), () => this.insertSeal(), () => this.swapSeals(), () => this.deleteLink(),
      () => this.updateHead(turn), () => this.deleteHead(), () => this.insertHead(), () => this.swapHeads(),
      () => this.updateCheckpoint(turn), () => this.deleteCheckpoint(), () => this.insertCheckpoint(), () => this.swapCheckpoints(),
    ];
    const way = ways[turn % ways.length];
    if (!way) throw new Error('no way');
    return way();
  }

  private async updateEvent(turn: number): Promise<Tampering> {
    const row = await this.link();
    const [column, type] = this.column(EVENT_COLUMNS, turn);
    await this.set('audit_events', column, type, 'id', row.event_id);
    return { what: `update audit_events.${column}`, ...place(row), ...(column !== 'id' && { eventId: row.event_id }), fault: column === 'id' ? /^event-missing$/ : /^(event|seal)-changed$/ };
  }

  private async deleteEvent(): Promise<Tampering> {
    const row = await this.link();
    await this.sql.query('DELETE FROM audit_events WHERE id = $1', [row.event_id]);
    return { what: 'delete audit_events', ...place(row), eventId: row.event_id, fault: /^event-missing$/ };
  }

  private async insertEvent(): Promise<Tampering> {
    const row = await this.link();
    const id = uuidv7();
    await this.copy('audit_events', EVENT_COLUMNS, 'id', row.event_id, { id, sequence: `nextval('audit_events_sequence_seq')` });
    return { what: 'insert audit_events', institutionId: row.institution_id, position: null, eventId: id, fault: /^event-forged$/ };
  }

  private async swapEvents(): Promise<Tampering> {
    const [a, b] = await this.twoLinks();
    const content = this.random() < 0.3 ? ['sequence'] : this.random() < 0.5 ? Object.keys(EVENT_COLUMNS).filter((name) => !['id', 'sequence'].includes(name)) : ['request_id'];
    await this.swap('audit_events', content, 'id', a.event_id, b.event_id);
    return { what: `swap audit_events ${content.join(',')}`, ...place(a), eventId: a.event_id, fault: /^(event|seal)-changed$/ };
  }

  private async updateSeal(turn: number): Promise<Tampering> {
    const row = await this.link();
    const [column, type] = this.column(SEAL_COLUMNS, turn);
    await this.set('audit_seals', column, type, 'event_id', row.event_id);
    return { what: `update audit_seals.${column}`, ...place(row), fault: /^(seal-missing|seal-changed|event-missing)$/ };
  }

  private async deleteSeal(): Promise<Tampering> {
    const row = await this.link();
    await this.sql.query('DELETE FROM audit_seals WHERE event_id = $1', [row.event_id]);
    return { what: 'delete audit_seals', ...place(row), fault: /^seal-missing$/ };
  }

  private async insertSeal(): Promise<Tampering> {
    const row = await this.link();
    const position = this.random() < 0.5 ? 0n : BigInt((await this.one(`SELECT max(position) AS position FROM audit_seals WHERE institution_id = '${row.institution_id}'`)).position) + 1n;
    await this.copy('audit_seals', SEAL_COLUMNS, 'event_id', row.event_id, { event_id: `'${uuidv7()}'`, position: String(position) });
    return { what: 'insert audit_seals', institutionId: row.institution_id, position, fault: /^(seal-forged|event-missing)$/ };
  }

  private async swapSeals(): Promise<Tampering> {
    const [a, b] = await this.twoLinks();
    const column = ['hash', 'sealed_at', 'event_id', 'position'][Math.floor(this.random() * 4)] ?? 'hash';
    await this.swap('audit_seals', [column], 'event_id', a.event_id, b.event_id);
    return { what: `swap audit_seals.${column}`, ...place(a), fault: /^seal-changed$/ };
  }

  private async deleteLink(): Promise<Tampering> {
    const row = await this.link();
    await this.sql.query('DELETE FROM audit_events WHERE id = $1', [row.event_id]);
    await this.sql.query('DELETE FROM audit_seals WHERE event_id = $1', [row.event_id]);
    return { what: 'delete event and seal', ...place(row), fault: /^seal-missing$/ };
  }

  private async updateHead(turn: number): Promise<Tampering> {
    const row = await this.pick('audit_heads');
    const [column, type] = this.column(HEAD_COLUMNS, turn);
    await this.set('audit_heads', column, type, 'institution_id', row.institution_id);
    return { what: `update audit_heads.${column}`, institutionId: row.institution_id, position: null, fault: /^head-(changed|missing)$/ };
  }

  private async deleteHead(): Promise<Tampering> {
    const row = await this.pick('audit_heads');
    await this.sql.query('DELETE FROM audit_heads WHERE institution_id = $1', [row.institution_id]);
    return { what: 'delete audit_heads', ...place(row), fault: /^head-missing$/ };
  }

  private async insertHead(): Promise<Tampering> {
    const row = await this.pick('audit_heads');
    const institutionId = uuidv7();
    await this.copy('audit_heads', HEAD_COLUMNS, 'institution_id', row.institution_id, { institution_id: `'${institutionId}'` });
    return { what: 'insert audit_heads', institutionId, position: null, fault: /^head-changed$/ };
  }

  private async swapHeads(): Promise<Tampering> {
    const { rows: [a, b] } = await this.sql.query<Row>('SELECT * FROM audit_heads ORDER BY random() LIMIT 2');
    if (!a || !b) throw new Error('two heads are needed');
    await this.swap('audit_heads', ['position', 'hash', 'sequence', 'checkpoints', 'updated_at', 'mac'], 'institution_id', a.institution_id, b.institution_id);
    return { what: 'swap audit_heads', institutionId: a.institution_id, position: null, fault: /^head-changed$/ };
  }

  private async updateCheckpoint(turn: number): Promise<Tampering> {
    const row = await this.pick('audit_checkpoints');
    const [column, type] = this.column(CHECKPOINT_COLUMNS, turn);
    await this.set('audit_checkpoints', column, type, 'id', row.id);
    return { what: `update audit_checkpoints.${column}`, institutionId: row.institution_id, position: ['position', 'number', 'institution_id'].includes(column) ? null : BigInt(row.position), fault: /^checkpoint-/ };
  }

  private async deleteCheckpoint(): Promise<Tampering> {
    const row = await this.pick('audit_checkpoints');
    await this.sql.query('DELETE FROM audit_checkpoints WHERE id = $1', [row.id]);
    return { what: 'delete audit_checkpoints', institutionId: row.institution_id, position: null, fault: /^checkpoint-missing$/ };
  }

  private async insertCheckpoint(): Promise<Tampering> {
    const row = await this.pick('audit_checkpoints');
    await this.copy('audit_checkpoints', CHECKPOINT_COLUMNS, 'id', row.id, { id: `'${uuidv7()}'`, number: '1000', position: '-1' });
    return { what: 'insert audit_checkpoints', institutionId: row.institution_id, position: null, fault: /^checkpoint-/ };
  }

  private async swapCheckpoints(): Promise<Tampering> {
    const a = await this.pick('audit_checkpoints WHERE institution_id IN (SELECT institution_id FROM audit_checkpoints GROUP BY 1 HAVING count(*) > 1)');
    const b = await this.one(`SELECT * FROM audit_checkpoints WHERE institution_id = '${a.institution_id}' AND id <> '${a.id}' ORDER BY random() LIMIT 1`);
    const column = ['signature', 'hash', 'at', 'number'][Math.floor(this.random() * 4)] ?? 'hash';
    await this.swap('audit_checkpoints', [column], 'id', a.id, b.id);
    return { what: `swap audit_checkpoints.${column}`, institutionId: a.institution_id, position: null, fault: /^checkpoint-/ };
  }

  private column(columns: Record<string, string>, turn: number): [string, string] {
    const names = Object.keys(columns);
    const name = names[Math.floor(turn / 7 + this.random() * names.length) % names.length] ?? '';
    return [name, columns[name] ?? ''];
  }

  private async set(table: string, column: string, type: string, key: string, value: string): Promise<void> {
    await this.sql.query(`UPDATE ${table} SET ${column} = ${OTHER[type]?.(column) ?? column} WHERE ${key} = $1`, [value]);
  }

  private async copy(table: string, columns: Record<string, string>, key: string, value: string, changed: Record<string, string>): Promise<void> {
    const names = Object.keys(columns);
    const values = names.map((name) => (changed[name] === undefined ? name : name === 'id' && !changed[name].startsWith(`'`) ? `'${changed[name]}'` : changed[name]));
    await this.sql.query(`INSERT INTO ${table} (${names.join(', ')}) SELECT ${values.join(', ')} FROM ${table} WHERE ${key} = $1`, [value]);
  }

  /** By way of a copy and new rows, because unique constraints look at each row at once. */
  private async swap(table: string, columns: readonly string[], key: string, a: string, b: string): Promise<void> {
    await this.sql.query('BEGIN');
    await this.sql.query(`CREATE TEMP TABLE pair ON COMMIT DROP AS SELECT * FROM ${table} WHERE ${key} IN ($1, $2)`, [a, b]);
    await this.sql.query(`DELETE FROM ${table} WHERE ${key} IN ($1, $2)`, [a, b]);
    const { rows: names } = await this.sql.query<{ name: string }>(`SELECT attname AS name FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`);
    const from = names.map(({ name }) => (columns.includes(name) ? `other.${name}` : `one.${name}`)).join(', ');
    await this.sql.query(`INSERT INTO ${table} (${names.map(({ name }) => name).join(', ')}) SELECT ${from} FROM pair one JOIN pair other ON other.${key} <> one.${key}`);
    await this.sql.query('COMMIT');
  }

  private async link(): Promise<Row> {
    return this.pick('audit_seals');
  }

  /** Of one chain, in its order. */
  private async twoLinks(): Promise<[Row, Row]> {
    const a = await this.link();
    const b = await this.one(`SELECT * FROM audit_seals WHERE institution_id = '${a.institution_id}' AND position <> ${a.position} ORDER BY position LIMIT 1 OFFSET ${String(Math.floor(this.random() * 20))}`);
    return BigInt(a.position) < BigInt(b.position) ? [a, b] : [b, a];
  }

  private async pick(table: string): Promise<Row> {
    const { rows } = await this.sql.query<Row>(`SELECT * FROM ${table} ORDER BY 1, 2`);
    const row = rows[Math.floor(this.random() * rows.length)];
    if (!row) throw new Error(`${table} is empty`);
    return row;
  }

  private async one(text: string): Promise<Row> {
    const { rows: [row] } = await this.sql.query<Row>(text);
    if (!row) throw new Error(text);
    return row;
  }
}

function place(row: Row): { institutionId: string; position: bigint } {
  return { institutionId: row.institution_id, position: BigInt(row.position) };
}
