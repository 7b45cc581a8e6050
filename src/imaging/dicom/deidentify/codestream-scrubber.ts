/** What the grammar below wants of the bytes: to see the next ones, to let them pass, to blank them. */
type Want = { see: number } | { pass: number } | { blank: number };

/** JFIF, ICC profiles, the colour transforms of SPIFF and of Adobe: decoders need them. All other segments are remarks. */
const NEEDED_SEGMENTS = new Set([0xe0, 0xe2, 0xe8, 0xee]);
const REMARK_BOXES = new Set(['xml ', 'uuid', 'uinf', 'jp2i']);

/**
 * Blanks remarks in compressed frames: comments, EXIF, XMP and the like, where encoders leave names. Lengths stay, so that
 * nothing moves. To be called with one stretch after the other from the beginning of a fragment that begins an image; other
 * data pass as they are.
 *
 * @returns a function that works in place
 * @see ITU-T T.81 B.2.4, T.800 A.9.2 and Annex I
 */
export function codestreamScrubber(): (stretch: Uint8Array) => void {
  const grammar = codestream();
  let step = grammar.next();
  let seen: number[] = [];
  let done = 0;
  return (stretch) => {
    let at = 0;
    while (step.done !== true) {
      const want = step.value;
      if ('see' in want) {
        while (seen.length < want.see && at < stretch.length) seen.push(stretch[at++] ?? 0);
        if (seen.length < want.see) return;
        const bytes = Uint8Array.from(seen);
        seen = [];
        step = grammar.next(bytes);
        continue;
      }
      const length = 'pass' in want ? want.pass : want.blank;
      const now = Math.min(length - done, stretch.length - at);
      if ('blank' in want) stretch.fill(0, at, at + now);
      at += now;
      done += now;
      if (done < length) return;
      done = 0;
      step = grammar.next(new Uint8Array(0));
    }
  };
}

function* codestream(): Generator<Want, void, Uint8Array> {
  const [a, b] = yield { see: 2 };
  if (a === 0xff && b === 0xd8) yield* jpeg();
  else if (a === 0xff && b === 0x4f) yield* jpeg2000();
  else if (a === 0 && b === 0) yield* boxes();
}

function* jpeg(): Generator<Want, void, Uint8Array> {
  for (;;) {
    const [prefix, found = 0] = yield { see: 2 };
    if (prefix !== 0xff) return;
    let marker = found;
    while (marker === 0xff) [marker = 0] = yield { see: 1 };
    // Start of scan: the image itself.
    if (marker === 0xda || marker === 0xd9) return;
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue;
    const length = yield* segmentLength();
    const remark = marker === 0xfe || (marker >= 0xe0 && marker <= 0xef && !NEEDED_SEGMENTS.has(marker));
    yield remark ? { blank: length } : { pass: length };
  }
}

function* jpeg2000(): Generator<Want, void, Uint8Array> {
  for (;;) {
    const [prefix, marker = 0] = yield { see: 2 };
    // Start of a tile: the image itself.
    if (prefix !== 0xff || marker === 0x90 || marker === 0x93 || marker === 0xd9) return;
    const length = yield* segmentLength();
    if (marker !== 0x64) yield { pass: length };
    else {
      // What kind of comment it is, and the comment.
      yield { pass: Math.min(2, length) };
      yield { blank: Math.max(0, length - 2) };
    }
  }
}

/** Of what follows the length field. */
function* segmentLength(): Generator<Want, number, Uint8Array> {
  const [high = 0, low = 0] = yield { see: 2 };
  return Math.max(0, ((high << 8) | low) - 2);
}

function* boxes(): Generator<Want, void, Uint8Array> {
  // The rest of the signature box, of which two bytes were seen.
  yield { pass: 10 };
  for (;;) {
    const head = yield { see: 8 };
    const view = new DataView(head.buffer);
    const type = String.fromCharCode(...head.subarray(4));
    let length = view.getUint32(0) - 8;
    if (view.getUint32(0) === 1) {
      const extended = yield { see: 8 };
      length = Number(new DataView(extended.buffer).getBigUint64(0)) - 16;
    } else if (view.getUint32(0) === 0) length = Number.MAX_SAFE_INTEGER;
    if (type === 'jp2c') {
      yield { pass: 2 };
      return yield* jpeg2000();
    }
    if (length < 0) return;
    yield REMARK_BOXES.has(type) ? { blank: length } : { pass: length };
  }
}
