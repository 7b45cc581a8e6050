/** PDU types. @see PS3.8 §9.3 */
export const PDU = { associateRequest: 0x01, data: 0x04, releaseRequest: 0x05, abort: 0x07 } as const;

export const PDU_HEADER_BYTES = 6;
/** What we announce as Maximum Length: the largest that the common senders make use of. @see PS3.8 D.1 */
export const ANNOUNCED_PDU_BYTES = 128 * 1024;
/** What we read: a request may be longer than P-DATA, and some senders do not count the headers of their fragments. */
export const LONGEST_PDU_BYTES = 256 * 1024;

/** Why the service provider aborts. @see PS3.8 table 9-26 */
export const ABORT_REASON = { notSpecified: 0, unrecognizedPdu: 1, unexpectedPdu: 2, unexpectedParameter: 5, invalidParameter: 6 } as const;
export type AbortReason = (typeof ABORT_REASON)[keyof typeof ABORT_REASON];

/** The peer breaks the rules; answered with A-ABORT. The message is ours, so it may be logged. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';

  constructor(
    readonly reason: AbortReason,
    message: string,
  ) {
    super(message);
  }
}

/** The transport ended in the middle of something. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** Result, source and reason of an A-ASSOCIATE-RJ. @see PS3.8 table 9-21 */
export const REJECTIONS = {
  'protocol-version': { result: 1, source: 2, reason: 2 },
  'application-context': { result: 1, source: 1, reason: 2 },
  'calling-ae-unknown': { result: 1, source: 1, reason: 3 },
  // The standard knows no reason for addresses; and nobody needs to learn from elsewhere which titles exist.
  'address-not-allowed': { result: 1, source: 1, reason: 3 },
  // Told no more than a stranger; the log and the metric say why.
  'institution-suspended': { result: 1, source: 1, reason: 3 },
  'called-ae-unknown': { result: 1, source: 1, reason: 7 },
  'temporary-congestion': { result: 2, source: 3, reason: 1 },
  'too-many-associations': { result: 2, source: 3, reason: 2 },
} as const satisfies Record<string, { result: number; source: number; reason: number }>;

export type RejectionCause = keyof typeof REJECTIONS;

/** @see PS3.8 §9.3.8 */
export function abortPdu(reason: AbortReason): Buffer {
  const serviceProvider = 2;
  return Buffer.from([PDU.abort, 0, 0, 0, 0, 4, 0, 0, serviceProvider, reason]);
}

/** A fragment of a message. @see PS3.8 §9.3.5.1, E.2 */
export interface Pdv {
  contextId: number;
  isCommand: boolean;
  isLast: boolean;
  value: Buffer;
}

const PDV_HEADER_BYTES = 6;

/**
 * The fragments of a P-DATA-TF.
 *
 * @param pdu  with its header; the values are views of it
 * @throws ProtocolError
 */
export function pdvsOf(pdu: Buffer): Pdv[] {
  const pdvs: Pdv[] = [];
  let at = PDU_HEADER_BYTES;
  while (at < pdu.length) {
    if (at + PDV_HEADER_BYTES > pdu.length) throw new ProtocolError(ABORT_REASON.invalidParameter, 'A fragment is cut off');
    const length = pdu.readUInt32BE(at);
    const end = at + 4 + length;
    if (length < 2 || end > pdu.length) throw new ProtocolError(ABORT_REASON.invalidParameter, 'A fragment does not fit its PDU');
    const control = pdu.readUInt8(at + 5);
    pdvs.push({ contextId: pdu.readUInt8(at + 4), isCommand: (control & 1) !== 0, isLast: (control & 2) !== 0, value: pdu.subarray(at + PDV_HEADER_BYTES, end) });
    at = end;
  }
  return pdvs;
}

/** A P-DATA-TF of one fragment. */
export function dataPdu({ contextId, isCommand, isLast, value }: Pdv): Buffer {
  const pdu = Buffer.allocUnsafe(PDU_HEADER_BYTES + PDV_HEADER_BYTES + value.length);
  pdu.writeUInt8(PDU.data, 0);
  pdu.writeUInt8(0, 1);
  pdu.writeUInt32BE(PDV_HEADER_BYTES + value.length, 2);
  pdu.writeUInt32BE(2 + value.length, PDU_HEADER_BYTES);
  pdu.writeUInt8(contextId, PDU_HEADER_BYTES + 4);
  pdu.writeUInt8((isCommand ? 1 : 0) | (isLast ? 2 : 0), PDU_HEADER_BYTES + 5);
  value.copy(pdu, PDU_HEADER_BYTES + PDV_HEADER_BYTES);
  return pdu;
}
