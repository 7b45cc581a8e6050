import { pixelCodingOf } from '../../../imaging/dicom/transfer-syntax.js';

/** @see PS3.4 A.4 */
export const VERIFICATION = '1.2.840.10008.1.1';
const STANDARD_ROOT = '1.2.840.10008.';
const STORAGE_ROOT = '1.2.840.10008.5.1.4.1.1.';
/** Storage SOP classes of patients' objects that lie elsewhere. @see PS3.4 table B.5-1 */
const OTHER_STORAGE: ReadonlySet<string> = new Set(['1.2.840.10008.5.1.4.34.7', '1.2.840.10008.5.1.4.34.10']);

/** Result of a proposed presentation context. @see PS3.8 table 9-18 */
export type ContextResult =
  | { result: 'acceptance'; transferSyntaxUid: string }
  | { result: 'abstract-syntax-not-supported' }
  | { result: 'transfer-syntaxes-not-supported' };

/**
 * Accepts Verification, every storage SOP class of the standard and every private one, since what a modality made belongs to
 * its study, known or not; of the transfer syntaxes the first that can be decoded, so that the sender need not transcode.
 */
export function negotiateContext(abstractSyntaxUid: string, transferSyntaxUids: readonly string[]): ContextResult {
  if (!isStorage(abstractSyntaxUid) && abstractSyntaxUid !== VERIFICATION) return { result: 'abstract-syntax-not-supported' };
  const transferSyntaxUid = transferSyntaxUids.find((uid) => pixelCodingOf(uid) !== undefined);
  return transferSyntaxUid === undefined ? { result: 'transfer-syntaxes-not-supported' } : { result: 'acceptance', transferSyntaxUid };
}

function isStorage(uid: string): boolean {
  return uid.startsWith(STORAGE_ROOT) || OTHER_STORAGE.has(uid) || (!uid.startsWith(STANDARD_ROOT) && /^\d+(\.\d+)+$/.test(uid));
}
