import { constants, inflateRawSync } from 'node:zlib';
import { text } from '../../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import { BytesNeeded, ElementWalker, isKnownVr } from '../../../imaging/dicom/elements.js';
import { DEFLATED_EXPLICIT_LITTLE, EXPLICIT_BIG } from '../../../imaging/dicom/transfer-syntax.js';
import { AppError } from '../../../kernel/errors.js';
import { peek, type ByteSource } from '../byte-source.js';

export interface InstanceClaim {
  sopClassUid: string;
  sopInstanceUid: string;
}

/** The data set is another instance than the C-STORE-RQ says, or of another class. */
export class IdentityMismatch extends Error {
  override readonly name = 'IdentityMismatch';
}

const SOP_INSTANCE_UID = 0x00080018;
/** What stands before the SOP Instance UID is short: character set, image type, creation date and time, SOP class. */
const FIRST_BYTES = 4 * 1024;
const MOST_BYTES = 64 * 1024;
/** As many inflate to a few megabytes at the worst. */
const MOST_DEFLATED_BYTES = 4 * 1024;

/**
 * Passes a data set on once it has shown to be the instance that the command names; one that cannot be read so far passes
 * too, for the ingest tells better what is wrong with it.
 *
 * @throws IdentityMismatch; AppError `missing-sop-class`, `missing-uid`; `invalid-dicom` when both are missing or lie too far behind
 * @see PS3.4 B.2.2, PS3.7 §9.1.1.1
 */
export async function* verified(dataSet: ByteSource, transferSyntaxUid: string, claim: InstanceClaim): AsyncGenerator<Uint8Array> {
  let source = dataSet;
  for (let wanted = FIRST_BYTES; ; wanted *= 4) {
    const peeked = await peek(source, wanted);
    ({ source } = peeked);
    const isWhole = peeked.head.length < wanted;
    const found = readIdentity(peeked.head, transferSyntaxUid);
    if (found !== 'incomplete') {
      if (found !== 'unreadable') assertClaim(found, claim);
      break;
    }
    if (isWhole) break;
    if (wanted >= MOST_BYTES) throw new AppError('invalid-dicom', { detail: 'The SOP Instance UID lies too far behind.' });
  }
  yield* source;
}

/** What is not where it belongs counts as missing: a UID behind its place would get past this check. */
function assertClaim(found: Partial<InstanceClaim>, claim: InstanceClaim): void {
  if (found.sopClassUid === undefined && found.sopInstanceUid === undefined) throw new AppError('invalid-dicom');
  if (found.sopClassUid === undefined) throw new AppError('missing-sop-class');
  if (found.sopInstanceUid === undefined) throw new AppError('missing-uid');
  if (found.sopClassUid !== claim.sopClassUid) throw new IdentityMismatch('The data set does not match its SOP class');
  if (found.sopInstanceUid !== claim.sopInstanceUid) throw new IdentityMismatch('The data set does not match its SOP instance');
}

/** SOP Class and SOP Instance UID of the beginning of a data set; `incomplete` when it does not reach so far. */
function readIdentity(head: Uint8Array, transferSyntaxUid: string): Partial<InstanceClaim> | 'incomplete' | 'unreadable' {
  const bytes = transferSyntaxUid === DEFLATED_EXPLICIT_LITTLE ? inflated(head) : head;
  if (bytes.length < 8) return 'incomplete';
  const littleEndian = transferSyntaxUid !== EXPLICIT_BIG;
  // The first element tells whether VRs are there, as for files: some senders negotiate one form and send the other.
  const encoding = { explicit: !littleEndian || isKnownVr(String.fromCharCode(bytes[4] ?? 0, bytes[5] ?? 0)), littleEndian };
  const walker = new ElementWalker(Number.MAX_SAFE_INTEGER, 0);
  walker.setWindow(0, bytes);
  const json: DicomJson = {};
  try {
    for (let at = 0; ;) {
      const header = walker.header(at, encoding, false);
      if (header.tag <= SOP_INSTANCE_UID) at = walker.readTopLevel(header, encoding, json);
      if (header.tag >= SOP_INSTANCE_UID) break;
    }
  } catch (error) {
    if (error instanceof BytesNeeded) return 'incomplete';
    if (error instanceof AppError) return 'unreadable';
    throw error;
  }
  const sopClassUid = text(json, 'SOPClassUID');
  const sopInstanceUid = text(json, 'SOPInstanceUID');
  return { ...(sopClassUid !== undefined && { sopClassUid }), ...(sopInstanceUid !== undefined && { sopInstanceUid }) };
}

function inflated(head: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(head.subarray(0, MOST_DEFLATED_BYTES), { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    // Not deflated, or with a header that the standard leaves out: the ingest will tell.
    return new Uint8Array(0);
  }
}
