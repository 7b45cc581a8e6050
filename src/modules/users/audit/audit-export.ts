import { Readable } from 'node:stream';
import { BEGINNING, hex } from '../../../platform/audit/audit-chain.js';
import type { Link } from '../../../platform/audit/audit-chain.store.js';
import { shownTime, timeText } from '../../../platform/audit/audit-event.js';
import { fhirAuditEvent } from '../../../platform/audit/audit-fhir.js';
import { factsOf } from './audit-json.js';

const PAGE = 500;

export const EXPORT_TYPES = { ndjson: 'application/x-ndjson', fhir: 'application/fhir+ndjson' } as const;
export type ExportFormat = keyof typeof EXPORT_TYPES;

export interface ExportSource {
  /** In the order of the chain. */
  links(after: bigint, limit: number): Promise<Link[]>;
  /** Hash of the seal at a position, or undefined. */
  hashAt(position: bigint): Promise<Uint8Array | undefined>;
}

export interface ExportRange {
  /** The first position that was sealed at `from` or later, or that will be the next. */
  first: bigint;
  from: Date | undefined;
  to: Date | undefined;
}

/**
 * Sealed events from a position on, a line each. NDJSON has all that the chain is made of, so that its hashes can be made again without us; an event that is missing leaves a line
 * that says so.
 */
export async function exportLines(source: ExportSource, format: ExportFormat, range: ExportRange): Promise<Readable> {
  const before = range.first > 1n ? await source.hashAt(range.first - 1n) : BEGINNING;
  return Readable.from(format === 'fhir' ? fhir(source, range) : ndjson(source, range, before ?? BEGINNING), { objectMode: false });
}

async function* ndjson(source: ExportSource, range: ExportRange, before: Uint8Array): AsyncGenerator<string> {
  let previous = before;
  for await (const page of pages(source, range)) {
    const lines = page.flatMap(({ seal, event }) => {
      const previousHash = hex(previous);
      previous = seal.hash;
      if (isEarly(seal, range)) return [];
      const line = {
        institutionId: seal.institutionId, position: Number(seal.position), previousHash, hash: hex(seal.hash), sealedAt: timeText(seal.sealedAt),
        ...(event ? { sequence: Number(event.sequence), mac: hex(event.mac), ...factsOf(event), at: timeText(event.at) } : { id: seal.eventId, missing: true }),
      };
      return `${JSON.stringify(line)}\n`;
    });
    if (lines.length > 0) yield lines.join('');
  }
}

async function* fhir(source: ExportSource, range: ExportRange): AsyncGenerator<string> {
  for await (const page of pages(source, range)) {
    const lines = page.flatMap(({ seal, event }) => (event && !isEarly(seal, range) ? [`${JSON.stringify(fhirAuditEvent(event))}\n`] : []));
    if (lines.length > 0) yield lines.join('');
  }
}

/** Sealed after the export had begun, and yet before the time that was asked for. */
function isEarly(seal: Link['seal'], { from }: ExportRange): boolean {
  return from !== undefined && seal.sealedAt < from && isPossible(seal);
}

/** A row with a time that the sealer cannot have written (`infinity`) is shown, wherever the export begins and ends. */
function isPossible({ sealedAt }: Link['seal']): boolean {
  return shownTime(sealedAt) !== null;
}

async function* pages(source: ExportSource, { first, to }: ExportRange): AsyncGenerator<Link[]> {
  for (let after = first - 1n; ;) {
    const page = await source.links(after, PAGE);
    const wanted = to === undefined ? page : page.filter(({ seal }) => seal.sealedAt < to || !isPossible(seal));
    if (wanted.length > 0) yield wanted;
    const last = page.at(-1);
    if (!last || page.length < PAGE || wanted.length < page.length) return;
    after = last.seal.position;
  }
}
