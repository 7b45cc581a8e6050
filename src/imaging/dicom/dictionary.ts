import dcmjs from 'dcmjs';

const vrByTag = new Map<number, string>();
const tagByKeyword = new Map<string, string>();

for (const entry of Object.values(dcmjs.data.DicomMetaDictionary.nameMap)) {
  const match = /^\(([0-9A-F]{4}),([0-9A-F]{4})\)$/i.exec(entry.tag);
  if (match?.[1] === undefined || match[2] === undefined) continue;
  const hex = (match[1] + match[2]).toUpperCase();
  vrByTag.set(Number.parseInt(hex, 16), entry.vr);
  tagByKeyword.set(entry.name, hex);
}

const hexByTag = new Map<number, string>();

/** `0x00100010` → `"00100010"`. */
export function tagHex(tag: number): string {
  let hex = hexByTag.get(tag);
  if (hex === undefined) {
    hex = tag.toString(16).toUpperCase().padStart(8, '0');
    // Files choose the private tags, so the memory of them is bounded.
    if (hexByTag.size < 20_000) hexByTag.set(tag, hex);
  }
  return hex;
}

/**
 * The tag of a keyword or of itself, as eight upper-case hexadecimal digits.
 *
 * @throws Error when the keyword is not in PS3.6: a mistake of the programmer
 */
export function tagOf(tagOrKeyword: string): string {
  const byKeyword = tagByKeyword.get(tagOrKeyword);
  if (byKeyword !== undefined) return byKeyword;
  if (/^[0-9A-Fa-f]{8}$/.test(tagOrKeyword)) return tagOrKeyword.toUpperCase();
  throw new Error(`Not a DICOM keyword or tag: ${tagOrKeyword}`);
}

/** The tag of a keyword if PS3.6 has it (QIDO-RS parameters come from outside). */
export function findTag(tagOrKeyword: string): string | undefined {
  return tagByKeyword.get(tagOrKeyword) ?? (/^[0-9A-Fa-f]{8}$/.test(tagOrKeyword) ? tagOrKeyword.toUpperCase() : undefined);
}

/**
 * The VR that PS3.6 gives a tag, `UN` for what it does not list.
 *
 * @param signed  Pixel Representation (0028,0103) is 1, which settles "US or SS"
 */
export function dictionaryVr(tag: number, signed: boolean): string {
  const element = tag & 0xffff;
  if (element === 0) return 'UL';
  const group = tag >>> 16;
  if (group & 1) return element >= 0x10 && element <= 0xff ? 'LO' : 'UN';
  // Curves and overlays repeat in every even group of 50xx and 60xx. PS3.5 §7.6
  const base = (group & 0xff00) === 0x6000 || (group & 0xff00) === 0x5000 ? (((group & 0xff00) << 16) | element) >>> 0 : tag;
  const vr = vrByTag.get(tag) ?? vrByTag.get(base);
  switch (vr) {
    case undefined:
      return 'UN';
    case 'xs':
      return signed ? 'SS' : 'US';
    case 'ox':
      return 'OW';
    case 'lt':
      return 'OW';
    case 'up':
      return 'UL';
    default:
      return vr.length === 2 ? vr : 'UN';
  }
}
