import { ABORT_REASON, ProtocolError } from './protocol.js';

/** What C-ECHO-RQ and C-STORE-RQ need, with its length; the rest, such as who began a C-MOVE, is of no use here. @see PS3.7 E.1 */
const KNOWN: ReadonlyMap<number, number | 'uid'> = new Map<number, number | 'uid'>([
  [0x0002, 'uid'], // Affected SOP Class UID
  [0x0100, 2], // Command Field
  [0x0110, 2], // Message ID
  [0x0700, 2], // Priority
  [0x0800, 2], // Command Data Set Type
  [0x1000, 'uid'], // Affected SOP Instance UID
]);
const COMMAND_FIELD = 0x0100;
const MESSAGE_ID = 0x0110;
const DATA_SET_TYPE = 0x0800;
const C_STORE_RQ = 0x0001;
const C_ECHO_RQ = 0x0030;
const NO_DATA_SET = 0x0101;
const MOST_UID_BYTES = 64;

/**
 * Checks a command set and leaves out what nobody reads, so that the library meets only what it knows: it holds the data sets
 * of other services in memory, and of a damaged command it takes what it can read and complains on the console.
 *
 * @param bytes  the whole command set, implicit VR little endian
 * @returns a C-STORE-RQ, or a C-ECHO-RQ without a data set
 * @throws ProtocolError for anything else
 * @see PS3.7 §6.3, §9.3
 */
export function readCommandSet(bytes: Buffer): Buffer {
  const kept = new Map<number, Buffer>();
  let at = 0;
  while (at < bytes.length) {
    if (at + 8 > bytes.length) throw unreadable();
    const length = bytes.readUInt32LE(at + 4);
    const end = at + 8 + length;
    if (bytes.readUInt16LE(at) !== 0 || end > bytes.length) throw unreadable();
    const element = bytes.readUInt16LE(at + 2);
    const expected = KNOWN.get(element);
    if (expected !== undefined) {
      if (expected === 'uid' ? length > MOST_UID_BYTES : length !== expected) throw unreadable();
      kept.set(element, bytes.subarray(at, end));
    }
    at = end;
  }
  const [service, messageId, dataSetType] = [COMMAND_FIELD, MESSAGE_ID, DATA_SET_TYPE].map((element) => kept.get(element)?.readUInt16LE(8));
  if (service === undefined || messageId === undefined || dataSetType === undefined) throw unreadable();
  if (service !== C_STORE_RQ && service !== C_ECHO_RQ) throw new ProtocolError(ABORT_REASON.notSpecified, 'A service that was not accepted');
  if (service === C_ECHO_RQ && dataSetType !== NO_DATA_SET) throw unreadable();
  return Buffer.concat([...kept].sort(([a], [b]) => a - b).map(([, element]) => element));
}

function unreadable(): ProtocolError {
  return new ProtocolError(ABORT_REASON.invalidParameter, 'A command set that cannot be read');
}
