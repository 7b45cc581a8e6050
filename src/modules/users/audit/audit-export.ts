import { Readable } from 'node:stream';
import { BEGINNING, hex } from '../../../platform/audit/audit-chain.js';
import type { Link } from '../../../platform/audit/audit-chain.store.js';
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

/**
 * Sealed events from a position on, a line each. NDJSON has all that the chain is made of, so that its hashes can be made again without us; an event that is missing leaves a line
 * that says so.
 */
export async function exportLines(source: ExportSource, format: ExportFormat, from: bigint, to: Date | undefined): Promise<Readable> {
  const before = from > 1n ? await source.hashAt(from - 1n) : BEGINNING;
  return Readable.from(format === 'fhir' ? fhir(source, from, to) : ndjson(source, from, to, before ?? BEGINNING), { objectMode: false });
}

async function* ndjson(source: ExportSource, from: bigint, to: Date | undefined, before: Uint8Array): AsyncGenerator<string> {
  let previous = before;
  for await (const page of pages(source, from, to)) {
    const lines = page.map(({ seal, event }) => {
      const line = {
        institutionId: seal.institutionId, position: Number(seal.position), previousHash: hex(previous), hash: hex(seal.hash), sealedAt: seal.sealedAt.toISOString(),
        ...(event ? { sequence: Number(event.sequence), mac: hex(event.mac), ...factsOf(event) } : { id: seal.eventId, missing: true }),
      };
      previous = seal.hash;
      return `${JSON.stringify(line)}\n`;
    });
    yield lines.join('');
  }
}

async function* fhir(source: ExportSource, from: bigint, to: Date | undefined): AsyncGenerator<string> {
  for await (const page of pages(source, from, to)) {
    const lines = page.flatMap(({ event }) => (event ? [`${JSON.stringify(fhirAuditEvent(event))}\n`] : []));
    if (lines.length > 0) yield lines.join('');
  }
}

async function* pages(source: ExportSource, from: bigint, to: Date | undefined): AsyncGenerator<Link[]> {
  for (let after = from - 1n; ;) {
    const page = await source.links(after, PAGE);
    const wanted = to === undefined ? page : page.filter(({ seal }) => seal.sealedAt < to);
    if (wanted.length > 0) yield wanted;
    const last = page.at(-1);
    if (!last || page.length < PAGE || wanted.length < page.length) return;
    after = last.seal.position;
  }
}
