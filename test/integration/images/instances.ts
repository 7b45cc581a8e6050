import { wrapImage, type WrapFields } from '../../../src/imaging/dicom/wrap-image.js';
import { newDicomUid } from '../../../src/kernel/uid.js';
import type { FileFate } from '../../../src/modules/images/fate.js';
import type { Product } from '../../support/product.js';

export interface TestInstance {
  bytes: Uint8Array;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
}

/** A small grey image as a DICOM file; `fill` makes other bytes under the same UIDs. */
export function testInstance({ fill = 7, size = 16, ...fields }: Partial<WrapFields> & { fill?: number; size?: number } = {}): TestInstance {
  const uids = {
    studyInstanceUid: fields.studyInstanceUid ?? newDicomUid(),
    seriesInstanceUid: fields.seriesInstanceUid ?? newDicomUid(),
    sopInstanceUid: fields.sopInstanceUid ?? newDicomUid(),
  };
  const bytes = wrapImage({ pixels: new Uint8Array(size * size).fill(fill), width: size, height: size, channels: 1, bits: 8 }, { modality: 'OT', patientId: 'P-1', ...fields, ...uids });
  return { bytes, ...uids };
}

/** The same bytes with one piece of ASCII exchanged for another of the same length, wherever it stands. */
export function exchanged(bytes: Uint8Array, from: string, to: string): Uint8Array {
  if (from.length !== to.length) throw new Error('lengths differ');
  return new Uint8Array(Buffer.from(Buffer.from(bytes).toString('latin1').replaceAll(from, to), 'latin1'));
}

export interface Uploaded {
  status: number;
  items: FileFate[];
  /** Of a problem. */
  code?: string;
}

/** A form whose parts come in the order given: `[file name, bytes]` or `[field, text]`. */
export async function upload(product: Product, ...parts: (readonly [string, Uint8Array | string])[]): Promise<Uploaded> {
  const form = new FormData();
  for (const [name, value] of parts) {
    if (typeof value === 'string') form.append(name, value);
    else form.append('files', new Blob([new Uint8Array(value)]), name);
  }
  const response = await product.fetch('/api/v1/images', { method: 'POST', body: form });
  const body = (await response.json()) as { items?: FileFate[]; code?: string }; // the contract's two shapes
  return { status: response.status, items: body.items ?? [], ...(body.code !== undefined && { code: body.code }) };
}

/** A multipart/related body. */
export function relatedBody(parts: readonly { type?: string; bytes: Uint8Array }[], boundary = 'boundary-7'): Uint8Array {
  const pieces = parts.flatMap(({ type = 'application/dicom', bytes }) => [Buffer.from(`\r\n--${boundary}\r\nContent-Type: ${type}\r\n\r\n`), Buffer.from(bytes)]);
  return new Uint8Array(Buffer.concat([...pieces, Buffer.from(`\r\n--${boundary}--\r\n`)]));
}

export interface StudyView {
  studyInstanceUid: string;
  state: string;
  revision: number;
  instanceCount: number;
  seriesCount: number;
  modalities: string[];
  completion: { reason: string; instances: number; series: { seriesInstanceUid: string; instances: number; missingInstanceNumbers?: number[] }[] } | null;
  series: { seriesInstanceUid: string; instanceCount: number }[];
}
