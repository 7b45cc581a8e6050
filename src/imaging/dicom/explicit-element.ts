/** VRs whose explicit form has a 16-bit length. PS3.5 table 7.1-2 */
const SHORT_VRS = new Set(['AE', 'AS', 'AT', 'CS', 'DA', 'DS', 'DT', 'FD', 'FL', 'IS', 'LO', 'LT', 'PN', 'SH', 'SL', 'SS', 'ST', 'TM', 'UI', 'UL', 'US']);
/** The largest even length of 16 bits. */
const MAX_SHORT_LENGTH = 0xfffe;

/** Tag, VR and length in explicit little endian. A value too long for its VR becomes UN, as PS3.5 §6.2.2 has it. */
export function elementHeader(tag: number, vr: string, length: number): Uint8Array {
  const short = SHORT_VRS.has(vr) && length <= MAX_SHORT_LENGTH;
  const header = Buffer.alloc(short ? 8 : 12);
  header.writeUInt16LE(tag >>> 16, 0);
  header.writeUInt16LE(tag & 0xffff, 2);
  header.write(short || !SHORT_VRS.has(vr) ? vr : 'UN', 4, 'latin1');
  if (short) header.writeUInt16LE(length, 6);
  else header.writeUInt32LE(length, 8);
  return header;
}

/** Item, delimiter: a tag without VR. */
export function itemHeader(tag: number, length: number): Uint8Array {
  const header = Buffer.alloc(8);
  header.writeUInt16LE(tag >>> 16, 0);
  header.writeUInt16LE(tag & 0xffff, 2);
  header.writeUInt32LE(length, 4);
  return header;
}

/** A whole element in explicit little endian, padded to an even length. */
export function explicitElement(tag: number, vr: string, value: Uint8Array): Uint8Array {
  const padding = value.length % 2 === 0 ? [] : [Buffer.of(vr === 'UI' || vr === 'OB' || vr === 'UN' ? 0 : 0x20)];
  return Buffer.concat([elementHeader(tag, vr, value.length + padding.length), value, ...padding]);
}

export function textElement(tag: number, vr: 'CS' | 'SH' | 'UI', text: string): Uint8Array {
  return explicitElement(tag, vr, Buffer.from(text, 'latin1'));
}

export function unsignedElement(tag: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return explicitElement(tag, 'US', bytes);
}
