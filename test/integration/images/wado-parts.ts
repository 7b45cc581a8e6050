import { expect } from 'vitest';
import type { Product } from '../../support/product.js';
import { relatedBody } from './instances.js';

export interface ReceivedPart {
  headers: Record<string, string>;
  bytes: Buffer;
}

export interface Received {
  status: number;
  headers: Headers;
  bytes: Buffer;
  /** Of a multipart body. */
  parts: ReceivedPart[];
  /** Of a problem. */
  code?: string;
}

export const DICOM = 'multipart/related; type="application/dicom"';
export const AS_STORED = `${DICOM}; transfer-syntax=*`;
export const OCTETS = 'multipart/related; type="application/octet-stream"';

/** GET below `/dicom-web/studies`. */
export async function retrieve(product: Pick<Product, 'fetch'>, path: string, accept?: string, headers: Record<string, string> = {}): Promise<Received> {
  const response = await product.fetch(`/dicom-web/studies/${path}`, { headers: { ...(accept !== undefined && { accept }), ...headers } });
  const bytes = Buffer.from(await response.arrayBuffer());
  const type = response.headers.get('content-type') ?? '';
  const { code } = type.startsWith('application/problem+json') ? (JSON.parse(bytes.toString()) as { code: string }) : {};
  return { status: response.status, headers: response.headers, bytes, parts: type.startsWith('multipart/related') ? partsOf(bytes, type) : [], ...(code !== undefined && { code }) };
}

/** Cuts a body strictly: whatever does not belong to a part fails the test. */
export function partsOf(body: Buffer, contentType: string): ReceivedPart[] {
  const boundary = /boundary=([^;]+)/.exec(contentType)?.[1] ?? '';
  expect(body.subarray(0, boundary.length + 2).toString()).toBe(`--${boundary}`);
  const parts: ReceivedPart[] = [];
  let at = boundary.length + 2;
  while (body.toString('latin1', at, at + 2) === '\r\n') {
    const bodyStart = body.indexOf('\r\n\r\n', at) + 4;
    const end = body.indexOf(`\r\n--${boundary}`, bodyStart);
    const lines = body.toString('latin1', at + 2, bodyStart - 4).split('\r\n');
    parts.push({ headers: Object.fromEntries(lines.map((line) => { const colon = line.indexOf(':'); return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]; })), bytes: body.subarray(bodyStart, end) });
    at = end + boundary.length + 4;
  }
  expect(body.toString('latin1', at)).toBe('--\r\n');
  return parts;
}

/** STOW-RS; every one must be stored. */
export async function store(product: Pick<Product, 'fetch'>, ...files: readonly Uint8Array[]): Promise<void> {
  const response = await product.fetch('/dicom-web/studies', {
    method: 'POST', headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=boundary-7' }, body: new Uint8Array(relatedBody(files.map((bytes) => ({ bytes })))),
  });
  expect(response.status, await response.text()).toBe(200);
}
