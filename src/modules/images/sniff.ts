export type FileKind = 'empty' | 'dicom' | 'zip' | 'gzip' | 'png' | 'jpeg' | 'unknown';

/** Bytes of a file's beginning that `sniff` wants to see. */
export const SNIFF_BYTES = 132;

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Local file header, end of an empty archive, first part of a split one. PKWARE APPNOTE 4.3 */
const ZIP = [[0x50, 0x4b, 0x03, 0x04], [0x50, 0x4b, 0x05, 0x06], [0x50, 0x4b, 0x07, 0x08]];

/**
 * Tells by its first bytes what a file is; names and media types are whatever a client made of them.
 *
 * @param head  at least `SNIFF_BYTES` bytes, fewer when the file is shorter
 */
export function sniff(head: Uint8Array): FileKind {
  if (head.length === 0) return 'empty';
  // First, because the 128 bytes of a DICOM preamble may be anything, a TIFF or ZIP header included. PS3.10 §7.1
  if (startsWith(head, [0x44, 0x49, 0x43, 0x4d], 128) || startsWith(head, [0x44, 0x49, 0x43, 0x4d])) return 'dicom';
  if (ZIP.some((magic) => startsWith(head, magic))) return 'zip';
  if (startsWith(head, [0x1f, 0x8b])) return 'gzip';
  if (startsWith(head, PNG)) return 'png';
  if (startsWith(head, [0xff, 0xd8, 0xff])) return 'jpeg';
  return startsLikeDataSet(head) ? 'dicom' : 'unknown';
}

/** A file without preamble begins with group 0002 or 0008; the parser looks closer. */
function startsLikeDataSet(head: Uint8Array): boolean {
  if (head.length < 8) return false;
  const little = [0x02, 0x08].includes(head[0] ?? 0) && head[1] === 0;
  const big = head[0] === 0 && [0x02, 0x08].includes(head[1] ?? 0);
  return little || big;
}

function startsWith(bytes: Uint8Array, magic: readonly number[], offset = 0): boolean {
  return magic.every((byte, index) => bytes[offset + index] === byte);
}
