import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { DataKey } from '../../platform/crypto/data-key.js';

/** Shorter texts fit a row as they are. */
const COMPRESS_FROM_BYTES = 2048;
const PLAIN = 0;
const DEFLATED = 1;

/** Contexts of sealed columns: a value opens in its own row only. */
export const sealContext = {
  study: (id: string) => `studies/${id}`,
  series: (id: string) => `series/${id}`,
  instance: (id: string) => `instances/${id}`,
} as const;

/** JSON text, compressed when that pays and encrypted, for a column. */
export function sealJson(key: DataKey, json: string, context: string): Buffer {
  const text = Buffer.from(json);
  const deflated = text.length >= COMPRESS_FROM_BYTES;
  return key.seal(Buffer.concat([Buffer.of(deflated ? DEFLATED : PLAIN), deflated ? deflateRawSync(text, { level: 1 }) : text]), context);
}

/** The other way round. @throws AppError `blob-corrupt` */
export function openJson(key: DataKey, sealed: Uint8Array, context: string): string {
  const opened = key.open(sealed, context);
  return (opened[0] === DEFLATED ? inflateRawSync(opened.subarray(1)) : opened.subarray(1)).toString('utf8');
}
