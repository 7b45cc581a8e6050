import { createRequire } from 'node:module';
import { openSync, type Font } from 'fontkit';

/** A line of text at a place in an SVG; `x` is its left end, or its right end or middle when it is anchored there. Pixels. */
export interface Line {
  text: string;
  x: number;
  /** Of the base line. */
  y: number;
  size: number;
  /** Any SVG colour. */
  fill: string;
  weight?: 'regular' | 'semibold';
  anchor?: 'start' | 'middle' | 'end';
  /** Longer text is cut, with an ellipsis. */
  room?: number;
}

// Hospital servers carry no fonts, so one comes with the product, and text is drawn as outlines of it. Latin and Chinese.
const require = createRequire(import.meta.url);
const FILES = { regular: '400Regular/NotoSansSC_400Regular.ttf', semibold: '600SemiBold/NotoSansSC_600SemiBold.ttf' } as const;
const opened = new Map<keyof typeof FILES, Font>();

function fontOf(weight: keyof typeof FILES): Font {
  let font = opened.get(weight);
  if (font === undefined) {
    const file = openSync(require.resolve(`@expo-google-fonts/noto-sans-sc/${FILES[weight]}`));
    // A TTF file holds one font; collections are other files.
    font = file as Font;
    opened.set(weight, font);
  }
  return font;
}

/** The width of a line in pixels. */
export function widthOf(text: string, size: number, weight: keyof typeof FILES = 'regular'): number {
  const font = fontOf(weight);
  let units = 0;
  for (const glyph of font.glyphsForString(printable(text))) units += glyph.advanceWidth;
  return (units * size) / font.unitsPerEm;
}

/** Outlines of a line as an SVG group: any text is safe in it. */
export function drawLine({ text, x, y, size, fill, weight = 'regular', anchor = 'start', room }: Line): string {
  const font = fontOf(weight);
  const shown = room === undefined ? printable(text) : cut(printable(text), size, weight, room);
  const scale = size / font.unitsPerEm;
  const width = widthOf(shown, size, weight);
  const left = anchor === 'start' ? x : anchor === 'end' ? x - width : x - width / 2;
  let advance = 0;
  let outlines = '';
  for (const glyph of font.glyphsForString(shown)) {
    const path = glyph.path.toSVG();
    if (path !== '') outlines += `<path transform="translate(${String(advance)} 0)" d="${path}"/>`;
    advance += glyph.advanceWidth;
  }
  // Fonts count upwards, SVG downwards.
  return `<g fill="${fill}" transform="translate(${left.toFixed(2)} ${String(y)}) scale(${String(scale)} ${String(-scale)})">${outlines}</g>`;
}

function cut(text: string, size: number, weight: keyof typeof FILES, room: number): string {
  if (widthOf(text, size, weight) <= room) return text;
  const left = room - widthOf('…', size, weight);
  let shown = '';
  let used = 0;
  for (const character of text) {
    used += widthOf(character, size, weight);
    if (used > left) break;
    shown += character;
  }
  return `${shown.trimEnd()}…`;
}

/** Line breaks and control characters have no outline. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}
