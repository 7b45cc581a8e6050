import { ABORT_REASON, PDU_HEADER_BYTES, ProtocolError, type RejectionCause } from './protocol.js';

/** The one application context that DICOM has. @see PS3.7 A.2.1 */
const APPLICATION_CONTEXT = '1.2.840.10008.3.1.1.1';
/** Version, two reserved bytes, both AE titles, 32 reserved bytes. */
const FIXED_BYTES = 68;
const APPLICATION_CONTEXT_ITEM = 0x10;
const PRESENTATION_CONTEXT_ITEM = 0x20;
const ABSTRACT_SYNTAX_ITEM = 0x30;

interface Item {
  type: number;
  /** Header and value. */
  bytes: Buffer;
  value: Buffer;
}

/**
 * Checks what the library does not look at, and puts the presentation contexts in ascending order: the standard asks for none,
 * but the library gives those that come late other ids.
 *
 * @param pdu  an A-ASSOCIATE-RQ with its header
 * @returns the same request, or why it is rejected
 * @throws ProtocolError when it cannot be read
 * @see PS3.8 §9.3.2
 */
export function readAssociationRequest(pdu: Buffer): Buffer | RejectionCause {
  const body = pdu.subarray(PDU_HEADER_BYTES);
  if (body.length < FIXED_BYTES) throw malformed('An association request is cut off');
  if ((body.readUInt16BE(0) & 1) === 0) return 'protocol-version';
  const items = itemsOf(body.subarray(FIXED_BYTES));
  const names = items.filter(({ type }) => type === APPLICATION_CONTEXT_ITEM).map(({ value }) => value.toString('latin1').replace(/[\0 ]+$/, ''));
  if (names.length !== 1 || names[0] !== APPLICATION_CONTEXT) return 'application-context';
  const contexts = items.filter(({ type }) => type === PRESENTATION_CONTEXT_ITEM).map((item) => ({ id: contextIdOf(item), bytes: item.bytes }));
  if (contexts.length === 0 || new Set(contexts.map(({ id }) => id)).size !== contexts.length) throw malformed('Presentation contexts are missing or share an id');
  return Buffer.concat([
    pdu.subarray(0, PDU_HEADER_BYTES + FIXED_BYTES),
    ...contexts.sort((a, b) => a.id - b.id).map(({ bytes }) => bytes),
    ...items.filter(({ type }) => type !== PRESENTATION_CONTEXT_ITEM).map(({ bytes }) => bytes),
  ]);
}

/** @throws ProtocolError unless the id is odd and one abstract syntax leads. PS3.8 §9.3.2.2 */
function contextIdOf({ value }: Item): number {
  const id = value.length < 4 ? 0 : value.readUInt8(0);
  if (id % 2 === 0) throw malformed('A presentation context has no odd id');
  const [first, ...others] = itemsOf(value.subarray(4));
  if (first?.type !== ABSTRACT_SYNTAX_ITEM || others.some(({ type }) => type === ABSTRACT_SYNTAX_ITEM)) throw malformed('A presentation context has no single abstract syntax');
  return id;
}

function itemsOf(bytes: Buffer): Item[] {
  const items: Item[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) throw malformed('An item is cut off');
    const end = at + 4 + bytes.readUInt16BE(at + 2);
    if (end > bytes.length) throw malformed('An item does not fit the request');
    items.push({ type: bytes.readUInt8(at), bytes: bytes.subarray(at, end), value: bytes.subarray(at + 4, end) });
    at = end;
  }
  return items;
}

function malformed(message: string): ProtocolError {
  return new ProtocolError(ABORT_REASON.invalidParameter, message);
}
