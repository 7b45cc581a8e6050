import copyStreams from 'pg-copy-streams';
import type pg from 'pg';
import { tarEnd, tarHeader, tarPadding } from '../packs/tar-writer.js';
import type { TableCopy } from './backup-manifest.js';
import { RowDigest } from './row-digest.js';
import { copyTarget, type TableShape } from './tables.js';

/** A tar archive wants sizes before contents: a table comes in pieces of about this size. */
const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * All rows of the tables as a tar archive: `tables/<name>/000001.copy`, … in PostgreSQL's text format of COPY. A piece ends anywhere; put together they
 * are the table.
 *
 * @param client  in a transaction that sees all rows
 * @param done  told each table as it ends
 */
export async function* dumpTables(client: pg.Client, tables: readonly TableShape[], done: (copy: TableCopy) => void): AsyncGenerator<Buffer> {
  for (const table of tables) {
    const digest = new RowDigest();
    let pieces = 0;
    for await (const piece of inPieces(rowsOf(client, table, digest))) {
      pieces++;
      yield tarHeader(`tables/${table.name}/${String(pieces).padStart(6, '0')}.copy`, piece.length);
      yield piece;
      yield tarPadding(piece.length);
    }
    done({ name: table.name, columns: table.columns, rows: digest.rows, sizeBytes: digest.sizeBytes, digest: digest.hex });
  }
  yield tarEnd();
}

/** Rows and digest of a table, without keeping anything. */
export async function digestTable(client: pg.Client, table: TableShape): Promise<TableCopy> {
  const digest = new RowDigest();
  for await (const chunk of rowsOf(client, table, digest)) if (chunk.length === 0) break;
  return { name: table.name, columns: table.columns, rows: digest.rows, sizeBytes: digest.sizeBytes, digest: digest.hex };
}

async function* rowsOf(client: pg.Client, table: TableShape, digest: RowDigest): AsyncGenerator<Buffer> {
  for await (const chunk of client.query(copyStreams.to(`COPY ${copyTarget(table)} TO STDOUT`))) {
    const bytes = chunk as Buffer; // the stream is in byte mode
    digest.update(bytes);
    yield bytes;
  }
}

async function* inPieces(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let [held, size]: [Buffer[], number] = [[], 0];
  for await (const chunk of source) {
    held.push(chunk);
    size += chunk.length;
    if (size < PIECE_BYTES) continue;
    yield Buffer.concat(held);
    [held, size] = [[], 0];
  }
  if (size > 0) yield Buffer.concat(held);
}
