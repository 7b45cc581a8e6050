const MOST_CHARACTERS = 200;
/** More than that is not even looked at. */
const MOST_BYTES = 4 * MOST_CHARACTERS;

/** How an answer begins, as one line of text that a log may show: no control characters, nothing that turns the direction of writing. */
export function excerptOf(answer: Uint8Array): string | null {
  const text = new TextDecoder().decode(answer.subarray(0, MOST_BYTES)).replace(/\p{C}+|\s+/gu, ' ').trim();
  // By characters, so that none is cut in half.
  return text === '' ? null : Array.from(text).slice(0, MOST_CHARACTERS).join('');
}
