/** Text that came from models and people, in the bounds of its VR. A backslash would end a value, and a control character is no text. PS3.5 §6.1.2 and §6.2 */
const FORBIDDEN = /[\p{Cc}\\]+/gu;

/** LO: 64 characters. */
export function descriptionText(text: string): string {
  return cut(clean(text), 64);
}

/** SH or UC: a code. */
export function codeText(text: string): string {
  return cut(clean(text), 64);
}

/** UT: anything but control characters. */
export function longText(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\r\t]+/gu, ' ').trim().slice(0, 10_240);
}

/** Person Name: the groups are the caller's, the rest of the delimiters nobody's. */
export function nameText(name: string): string {
  return cut(clean(name).replaceAll('=', ' '), 64);
}

function clean(text: string): string {
  return text.replaceAll(FORBIDDEN, ' ').replaceAll(/\s+/g, ' ').trim();
}

/** By characters, not by halves of them. */
function cut(text: string, most: number): string {
  return Array.from(text).slice(0, most).join('').trim();
}
