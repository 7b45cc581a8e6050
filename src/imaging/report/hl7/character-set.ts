/** How the text of a message becomes bytes. */
export const CHARACTER_SETS = ['UTF-8', 'GB18030'] as const;
export type CharacterSetName = (typeof CHARACTER_SETS)[number];

/** MSH-18. @see HL7 v2.5.1 table 0211 */
export const CHARACTER_SET_CODES: Readonly<Record<CharacterSetName, string>> = { 'UTF-8': 'UNICODE UTF-8', 'GB18030': 'GB 18030-2000' };

export function encoded(text: string, characterSet: CharacterSetName): Uint8Array {
  return characterSet === 'UTF-8' ? new TextEncoder().encode(text) : gb18030(text);
}

export function decoded(bytes: Uint8Array, characterSet: CharacterSetName): string {
  return new TextDecoder(characterSet === 'UTF-8' ? 'utf-8' : 'gb18030').decode(bytes);
}

/** Codes of two bytes: 126 rows of 190. */
const ROW = 190;
const TWO_BYTE_CODES = 126 * ROW;
/** Codes of four bytes up to U+FFFF. */
const FOUR_BYTE_CODES = 39_420;
/** Where U+10000 is among those of four bytes. */
const SUPPLEMENTARY = 189_000;

/** By the code point up to U+FFFF, one more than its place: among codes of two bytes, behind them among those of four. */
let places: Uint16Array | undefined;

/** The platform only decodes GB18030; the way back is made of that once. Code points that it has no code for become U+FFFD. */
function gb18030(text: string): Uint8Array {
  places ??= placesOf(new TextDecoder('gb18030'));
  const bytes = new Uint8Array(text.length * 4);
  let end = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (point < 0x80) bytes[end++] = point;
    else {
      const own = places[point] ?? 0;
      const place = own === 0 ? (places[0xfffd] ?? 0) : own;
      const code = point > 0xffff ? fourBytes(SUPPLEMENTARY + point - 0x10000) : place <= TWO_BYTE_CODES ? twoBytes(place - 1) : fourBytes(place - 1 - TWO_BYTE_CODES);
      bytes.set(code, end);
      end += code.length;
    }
  }
  return bytes.subarray(0, end);
}

function placesOf(decoder: TextDecoder): Uint16Array {
  const all = new Uint16Array(0x10000);
  const read = (codes: Uint8Array, before: number): void => {
    const text = decoder.decode(codes);
    // The first and shortest code of a character counts: decoders take others for some, U+3000 for one.
    for (let n = 0; n < text.length; n++) all[text.charCodeAt(n)] ||= before + n + 1;
  };
  const two = new Uint8Array(TWO_BYTE_CODES * 2);
  for (let n = 0; n < TWO_BYTE_CODES; n++) two.set(twoBytes(n), n * 2);
  read(two, 0);
  const four = new Uint8Array(FOUR_BYTE_CODES * 4);
  for (let n = 0; n < FOUR_BYTE_CODES; n++) four.set(fourBytes(n), n * 4);
  read(four, TWO_BYTE_CODES);
  return all;
}

function twoBytes(place: number): number[] {
  const trail = place % ROW;
  return [0x81 + Math.floor(place / ROW), trail + (trail < 0x3f ? 0x40 : 0x41)];
}

function fourBytes(place: number): number[] {
  return [0x81 + Math.floor(place / 12_600), 0x30 + (Math.floor(place / 1_260) % 10), 0x81 + (Math.floor(place / 10) % 126), 0x30 + (place % 10)];
}
