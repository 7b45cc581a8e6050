/** Builds DICOM files byte by byte, so that tests can also build wrong ones. */

export type Item = readonly Element[];
export type Value = string | Uint8Array | readonly number[] | readonly Item[];
export type Element = readonly [tag: number, vr: string, value: Value, options?: { undefinedLength?: boolean; length?: number }];

export interface FileOptions {
  transferSyntax?: string;
  explicit?: boolean;
  littleEndian?: boolean;
  /** Without preamble and meta information. */
  bare?: boolean;
  transform?: (dataSet: Uint8Array) => Uint8Array;
}

const LONG = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const WIDTH: Record<string, number> = { US: 2, SS: 2, OW: 2, UL: 4, SL: 4, FL: 4, FD: 8 };

interface Encoding {
  explicit: boolean;
  littleEndian: boolean;
}

export const UIDS: readonly Element[] = [
  [0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.7'],
  [0x00080018, 'UI', '1.2.3.4'],
  [0x0020000d, 'UI', '1.2.3'],
  [0x0020000e, 'UI', '1.2.3.1'],
];

/** A whole file: UIDs of a secondary capture unless `elements` has its own, in ascending order. */
export function dicomFile(elements: readonly Element[], options: FileOptions = {}): Uint8Array {
  const transferSyntax = options.transferSyntax ?? '1.2.840.10008.1.2.1';
  const encoding = {
    explicit: options.explicit ?? transferSyntax !== '1.2.840.10008.1.2',
    littleEndian: options.littleEndian ?? transferSyntax !== '1.2.840.10008.1.2.2',
  };
  const given = new Set(elements.map(([tag]) => tag));
  const all = [...UIDS.filter(([tag]) => !given.has(tag)), ...elements].sort(([a], [b]) => a - b);
  const encoded = encodeDataSet(all, encoding);
  const dataSet = options.transform?.(encoded) ?? encoded;
  if (options.bare === true) return dataSet;
  const meta = encodeDataSet([[0x00020010, 'UI', transferSyntax]], { explicit: true, littleEndian: true });
  return concat([new Uint8Array(128), Buffer.from('DICM'), meta, dataSet]);
}

/** Rows, columns and the rest of the Image Pixel module for unsigned grey. */
export function imagePixel(rows: number, columns: number, bits = 8, stored = bits): Element[] {
  return [
    [0x00280002, 'US', [1]],
    [0x00280004, 'CS', 'MONOCHROME2'],
    [0x00280010, 'US', [rows]],
    [0x00280011, 'US', [columns]],
    [0x00280100, 'US', [bits]],
    [0x00280101, 'US', [stored]],
    [0x00280102, 'US', [stored - 1]],
    [0x00280103, 'US', [0]],
  ];
}

/** Replaces elements of the same tag, adds the others. */
export function withElements(base: readonly Element[], ...changes: Element[]): Element[] {
  const tags = new Set(changes.map(([tag]) => tag));
  return [...base.filter(([tag]) => !tags.has(tag)), ...changes];
}

/** The value of encapsulated pixel data: an offset table, fragments, and the delimiter unless it is left out. */
export function encapsulated(fragments: readonly Uint8Array[], offsets: readonly number[] = [], delimiter = true): Uint8Array {
  const item = (bytes: Uint8Array): Uint8Array[] => [uint32s([0xe000fffe, bytes.length], true), bytes];
  const parts = [...item(uint32s(offsets, true)), ...fragments.flatMap(item)];
  if (delimiter) parts.push(uint32s([0xe0ddfffe, 0], true));
  return concat(parts);
}

export function encodeDataSet(elements: readonly Element[], encoding: Encoding): Uint8Array {
  return concat(elements.map((element) => encodeElement(element, encoding)));
}

function encodeElement([tag, vr, value, options = {}]: Element, encoding: Encoding): Uint8Array {
  const bytes = encodeValue(vr, value, encoding, options.undefinedLength === true);
  const length = options.length ?? (options.undefinedLength === true ? 0xffffffff : bytes.length);
  const tagBytes = concat([uint16(tag >>> 16, encoding.littleEndian), uint16(tag & 0xffff, encoding.littleEndian)]);
  if (!encoding.explicit) return concat([tagBytes, uint32s([length], encoding.littleEndian), bytes]);
  if (LONG.has(vr)) return concat([tagBytes, Buffer.from(vr), new Uint8Array(2), uint32s([length], encoding.littleEndian), bytes]);
  return concat([tagBytes, Buffer.from(vr), uint16(length, encoding.littleEndian), bytes]);
}

function encodeValue(vr: string, value: Value, encoding: Encoding, open: boolean): Uint8Array {
  if (typeof value === 'string') {
    const text = Buffer.from(value, 'latin1');
    return text.length % 2 === 0 ? text : concat([text, Buffer.from(vr === 'UI' ? '\0' : ' ')]);
  }
  if (value instanceof Uint8Array) return value;
  if (vr === 'SQ' || value.some((entry) => typeof entry === 'object')) {
    // Sequences alone have items for values.
    const items = (value as readonly Item[]).map((item) => {
      const body = encodeDataSet(item, encoding);
      return concat([tagOf(0xe000, encoding), uint32s([open ? 0xffffffff : body.length], encoding.littleEndian), body, ...(open ? [tagOf(0xe00d, encoding), new Uint8Array(4)] : [])]);
    });
    return concat([...items, ...(open ? [tagOf(0xe0dd, encoding), new Uint8Array(4)] : [])]);
  }
  const width = WIDTH[vr] ?? 1;
  const out = new DataView(new ArrayBuffer(value.length * width));
  for (const [i, entry] of (value as readonly number[]).entries()) {
    if (vr === 'FL') out.setFloat32(i * 4, entry, encoding.littleEndian);
    else if (vr === 'FD') out.setFloat64(i * 8, entry, encoding.littleEndian);
    else if (width === 1) out.setUint8(i, entry);
    else if (width === 2) out.setUint16(i * 2, entry & 0xffff, encoding.littleEndian);
    else out.setUint32(i * 4, entry >>> 0, encoding.littleEndian);
  }
  return new Uint8Array(out.buffer);
}

function tagOf(element: number, { littleEndian }: Encoding): Uint8Array {
  return concat([uint16(0xfffe, littleEndian), uint16(element, littleEndian)]);
}

function uint16(value: number, littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(2));
  view.setUint16(0, value, littleEndian);
  return new Uint8Array(view.buffer);
}

function uint32s(values: readonly number[], littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, littleEndian);
  return new Uint8Array(view.buffer);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
