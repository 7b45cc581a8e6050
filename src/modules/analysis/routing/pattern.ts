/** Longest text that is compared; DICOM's longest matched attribute (LO) has 64 characters. */
const MAX_TEXT = 1_024;

/**
 * Whether a whole text matches a pattern: `*` stands for any run of characters, `?` for one; case and surrounding spaces do not count. Takes at
 * most pattern × text steps, so that no pattern can hold a worker up.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  const wanted = Array.from(folded(pattern));
  const found = Array.from(folded(text).slice(0, MAX_TEXT));
  let [p, t] = [0, 0];
  /** Where to go on when what follows the last star does not match: one character later. */
  let star: { p: number; t: number } | undefined;
  while (t < found.length) {
    if (wanted[p] === '*') {
      star = { p: ++p, t };
    } else if (p < wanted.length && (wanted[p] === '?' || wanted[p] === found[t])) {
      p++;
      t++;
    } else if (star) {
      p = star.p;
      t = ++star.t;
    } else {
      return false;
    }
  }
  while (wanted[p] === '*') p++;
  return p === wanted.length;
}

function folded(text: string): string {
  return text.trim().normalize('NFKC').toLowerCase();
}
