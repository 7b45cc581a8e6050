import { randomUUID } from 'node:crypto';

/** DICOM files as the body of one request. @see PS3.18 §8.7.3.3, §10.5.1 */
export function stowBody(files: readonly { bytes: Uint8Array }[]): { body: Buffer; contentType: string } {
  const boundary = `hv-${randomUUID()}`;
  const parts = files.flatMap(({ bytes }) => [Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`), bytes, Buffer.from('\r\n')]);
  return { body: Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]), contentType: `multipart/related; type="application/dicom"; boundary=${boundary}` };
}
