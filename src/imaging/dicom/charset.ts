/**
 * Specific Character Set (0008,0005) to Unicode.
 *
 * @see PS3.3 C.12.1.1.2, PS3.5 §6.1 and Annexes H, I, J, K
 */

type Plane = 'ascii' | 'romaji' | 'katakana' | 'jisx0208' | 'jisx0212' | 'ksx1001' | 'gb2312' | `single:${string}`;

interface Term {
  /** Encoding of the whole value for terms without code extensions. */
  whole?: string;
  g1?: Plane;
}

const TERMS: Record<string, Term> = {
  '6': {},
  '100': { g1: 'single:iso-8859-1' },
  '101': { g1: 'single:iso-8859-2' },
  '109': { g1: 'single:iso-8859-3' },
  '110': { g1: 'single:iso-8859-4' },
  '144': { g1: 'single:iso-8859-5' },
  '127': { g1: 'single:iso-8859-6' },
  '126': { g1: 'single:iso-8859-7' },
  '138': { g1: 'single:iso-8859-8' },
  '148': { g1: 'single:windows-1254' },
  '203': { g1: 'single:iso-8859-15' },
  '166': { g1: 'single:windows-874' },
  '13': { g1: 'katakana' },
  '87': { g1: 'katakana' },
  '159': { g1: 'katakana' },
  '149': { g1: 'ksx1001' },
  '58': { g1: 'gb2312' },
  '192': { whole: 'utf-8' },
  GB18030: { whole: 'gb18030' },
  GBK: { whole: 'gbk' },
};

/** Escape sequences without the ESC, and what they put where. PS3.3 tables C.12-3 and C.12-4 */
const ESCAPES: readonly (readonly [string, 'g0' | 'g1', Plane])[] = [
  ['$(D', 'g0', 'jisx0212'],
  ['$)C', 'g1', 'ksx1001'],
  ['$)A', 'g1', 'gb2312'],
  ['$B', 'g0', 'jisx0208'],
  ['$@', 'g0', 'jisx0208'],
  ['(B', 'g0', 'ascii'],
  ['(J', 'g0', 'romaji'],
  [')I', 'g1', 'katakana'],
  ['-A', 'g1', 'single:iso-8859-1'],
  ['-B', 'g1', 'single:iso-8859-2'],
  ['-C', 'g1', 'single:iso-8859-3'],
  ['-D', 'g1', 'single:iso-8859-4'],
  ['-L', 'g1', 'single:iso-8859-5'],
  ['-G', 'g1', 'single:iso-8859-6'],
  ['-F', 'g1', 'single:iso-8859-7'],
  ['-H', 'g1', 'single:iso-8859-8'],
  ['-M', 'g1', 'single:windows-1254'],
  ['-b', 'g1', 'single:iso-8859-15'],
  ['-T', 'g1', 'single:windows-874'],
];

const ESC = 0x1b;
const decoders = new Map<string, TextDecoder>();

function decoder(label: string): TextDecoder {
  let found = decoders.get(label);
  if (found === undefined) {
    found = new TextDecoder(label);
    decoders.set(label, found);
  }
  return found;
}

export interface CharacterSet {
  readonly initialG1: Plane | undefined;
  readonly initialG0: Plane;
  readonly whole: string | undefined;
}

export const DEFAULT_CHARACTER_SET: CharacterSet = { initialG0: 'ascii', initialG1: undefined, whole: undefined };

/** Common misspellings (`ISO-IR 100`, `ISO IR 100`, `iso_ir_100`) are read as what they mean. */
function termOf(value: string): Term | undefined {
  const text = value.trim().toUpperCase().replace(/[\s_-]+/g, ' ');
  const match = /^(?:ISO )?(?:2022 )?(?:IR )?(\d+)$/.exec(text);
  const key = match?.[1] ?? text;
  if (key === 'UTF 8' || key === 'UTF8') return TERMS['192'];
  return Object.hasOwn(TERMS, key) ? TERMS[key] : undefined;
}

/** Reads the values of (0008,0005); unknown terms count as the default repertoire. */
export function characterSetOf(values: readonly string[]): CharacterSet {
  for (const value of values) {
    const whole = termOf(value)?.whole;
    if (whole !== undefined) return { initialG0: 'ascii', initialG1: undefined, whole };
  }
  const first = termOf(values[0] ?? '');
  const g1 = first?.g1;
  // A lone multi-byte term in first place is an error of the sender with one sensible reading: its G1.
  return { initialG0: g1 === 'katakana' ? 'romaji' : 'ascii', initialG1: g1 ?? termOf(values[1] ?? '')?.g1, whole: undefined };
}

/** Characters that put the code elements back to their initial state. PS3.5 §6.1.2.5.3 */
function resets(byte: number, personName: boolean): boolean {
  return byte === 0x0a || byte === 0x0d || byte === 0x0c || byte === 0x09 || byte === 0x5c || (personName && (byte === 0x5e || byte === 0x3d));
}

/** How many stretches `decodeText` decodes apart at most; 0 for plain ASCII. */
export function stretchCount(bytes: Uint8Array, set: CharacterSet): number {
  let count = 0;
  let breaks = 0;
  let escaped = false;
  let before = false;
  for (const byte of bytes) {
    const special = byte >= 0x80 || byte === ESC;
    if (special && (byte === ESC || !before)) count++;
    // A blank interrupts the stretches of two-byte sets, which only an escape sequence brings in.
    if (byte === ESC) escaped = true;
    else if (byte <= 0x20) breaks++;
    before = special;
  }
  if (set.whole !== undefined || (set.initialG1 === undefined && !escaped)) return Math.min(count, 1);
  return escaped ? count + breaks : count;
}

/**
 * Text of one element value, all its backslash-separated values together, as Unicode.
 * Bytes that mean nothing become U+FFFD; nothing is thrown.
 */
export function decodeText(bytes: Uint8Array, set: CharacterSet, personName = false): string {
  let plain = true;
  for (const byte of bytes) {
    if (byte >= 0x80 || byte === ESC) {
      plain = false;
      break;
    }
  }
  if (plain) return latin1(bytes);
  if (set.whole !== undefined) return decoder(set.whole).decode(bytes);
  if (set.initialG1 === undefined && !bytes.includes(ESC)) return decodeUndeclared(bytes);
  return decodeIso2022(bytes, set, personName);
}

/** 8-bit text without a declared character set breaks the standard; UTF-8 is recognisable, Latin-1 is the customary guess. */
function decodeUndeclared(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8');
  // What comes back as the same bytes was UTF-8. A decoder that throws would be too slow for a file full of Latin-1.
  if (!Buffer.from(text, 'utf8').equals(buffer)) return westEuropean(bytes);
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** What the Encoding Standard calls ISO 8859-1 differs from it in the C1 range alone, so the quick way is mostly open. */
function westEuropean(bytes: Uint8Array): string {
  for (const byte of bytes) if (byte >= 0x80 && byte < 0xa0) return decoder('iso-8859-1').decode(bytes);
  return latin1(bytes);
}

function decodeIso2022(bytes: Uint8Array, set: CharacterSet, personName: boolean): string {
  let g0: Plane = set.initialG0;
  let g1 = set.initialG1;
  let text = '';
  let i = 0;
  while (i < bytes.length) {
    const byte = bytes[i] ?? 0;
    if (byte === ESC) {
      const escape = matchEscape(bytes, i + 1);
      if (escape === undefined) {
        text += '\ufffd';
        i += 1;
      } else {
        if (escape[1] === 'g0') g0 = escape[2];
        else g1 = escape[2];
        i += 1 + escape[0].length;
      }
      continue;
    }
    const start = i;
    if (byte < 0x80) {
      const wide = g0 === 'jisx0208' || g0 === 'jisx0212';
      if (byte <= 0x20 || !wide) {
        // What resets here leaves G0 at a one-byte set, so a stretch goes on to the next escape or G1 character.
        let next = byte;
        do {
          if (resets(next, personName)) {
            g0 = set.initialG0;
            g1 = set.initialG1;
          }
          i += 1;
          next = bytes[i] ?? ESC;
        } while (!wide && next < 0x80 && next !== ESC);
        text += latin1(bytes.subarray(start, i));
      } else {
        while (i < bytes.length && (bytes[i] ?? 0) > 0x20 && (bytes[i] ?? 0) < 0x80) i += 2;
        text += decodePlane(bytes.subarray(start, Math.min(i, bytes.length)), g0);
      }
    } else {
      while (i < bytes.length && (bytes[i] ?? 0) >= 0x80) i += 1;
      text += decodePlane(bytes.subarray(start, i), g1 ?? 'single:iso-8859-1');
    }
  }
  return text;
}

function matchEscape(bytes: Uint8Array, from: number): (typeof ESCAPES)[number] | undefined {
  return ESCAPES.find(([sequence]) => {
    for (let k = 0; k < sequence.length; k++) if (bytes[from + k] !== sequence.charCodeAt(k)) return false;
    return true;
  });
}

/** A run of bytes of one code element. */
function decodePlane(run: Uint8Array, plane: Plane): string {
  switch (plane) {
    case 'ascii':
    case 'romaji':
      return latin1(run);
    case 'katakana':
      return decoder('shift_jis').decode(run);
    case 'jisx0208':
      return decoder('euc-jp').decode(run.map((byte) => byte | 0x80));
    case 'jisx0212': {
      const euc = new Uint8Array(Math.ceil(run.length / 2) * 3);
      for (let i = 0, o = 0; i < run.length; i += 2) {
        euc[o++] = 0x8f;
        euc[o++] = (run[i] ?? 0) | 0x80;
        euc[o++] = (run[i + 1] ?? 0) | 0x80;
      }
      return decoder('euc-jp').decode(euc);
    }
    case 'ksx1001':
      return decoder('euc-kr').decode(run);
    case 'gb2312':
      return decoder('gbk').decode(run);
    case 'single:iso-8859-1':
      return westEuropean(run);
    default:
      return decoder(plane.slice('single:'.length)).decode(run);
  }
}
