import sharp from 'sharp';
import { SEGMENT_COLOURS } from '../../imaging/render/segments.js';
import { drawLine, widthOf } from './lettering.js';

/** Values at dates, a line for each thing that is followed. */
export interface TrendChart {
  title: string;
  unit: string;
  /** Milliseconds since 1970, ascending. */
  dates: number[];
  /** `values` by date; null where there is none. */
  lines: { name: string; values: (number | null)[] }[];
}

const SIZE = { width: 640, height: 320 };
const PLOT = { left: 64, top: 48, right: 24, bottom: 40 };
const LEGEND_GAP = 18;
const COLOURS = { canvas: '#0d1117', line: '#21303f', title: '#f0f4f8', text: '#9fb0c0' };

/** A small chart on dark ground, as the previews are. For a thread. @returns PNG */
export async function drawTrend({ title, unit, dates, lines }: TrendChart): Promise<Buffer> {
  const { width, height } = SIZE;
  const [first = 0, last = 0] = [dates[0], dates.at(-1)];
  const top = niceCeiling(Math.max(0, ...lines.flatMap(({ values }) => values.filter((value) => value !== null))));
  const x = (at: number): number => PLOT.left + (last === first ? 0.5 : (at - first) / (last - first)) * (width - PLOT.left - PLOT.right);
  const y = (value: number): number => height - PLOT.bottom - (value / top) * (height - PLOT.top - PLOT.bottom);
  const parts = [
    `<rect width="100%" height="100%" fill="${COLOURS.canvas}"/>`,
    drawLine({ text: `${title} (${unit})`, x: 20, y: 28, size: 15, weight: 'semibold', fill: COLOURS.title }),
    ...[0, 0.5, 1].flatMap((share) => [
      `<path d="M${String(PLOT.left)} ${y(share * top).toFixed(1)}H${String(width - PLOT.right)}" stroke="${COLOURS.line}"/>`,
      drawLine({ text: String(Math.round(share * top * 100) / 100), x: PLOT.left - 10, y: y(share * top) + 4, size: 12, fill: COLOURS.text, anchor: 'end' }),
    ]),
    ...datesShown(dates, x).map(({ at, anchor }) => drawLine({ text: new Date(at).toISOString().slice(0, 10), x: x(at), y: height - 14, size: 12, fill: COLOURS.text, anchor })),
    ...legend(lines.map(({ name }) => name)),
    ...lines.map(({ values }, index) => curve(values.flatMap((value, i) => (value === null ? [] : [[x(dates[i] ?? 0), y(value)] as const])), colourOf(index))),
  ];
  return sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}">${parts.join('')}</svg>`)).png().toBuffer();
}

function curve(points: readonly (readonly [number, number])[], colour: string): string {
  const path = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2.5" stroke-linejoin="round"/>${points.map(([x, y]) => `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="4.5" fill="${colour}" stroke="${COLOURS.canvas}" stroke-width="1.5"/>`).join('')}`;
}

/** From the right. */
function legend(names: readonly string[]): string[] {
  let end = SIZE.width - PLOT.right;
  return [...names.entries()].reverse().flatMap(([index, name]) => {
    const text = widthOf(name, 13);
    const left = end - text;
    end = left - 16 - LEGEND_GAP;
    return left < SIZE.width / 3 ? [] : [`<circle cx="${(left - 10).toFixed(1)}" cy="24" r="5" fill="${colourOf(index)}"/>`, drawLine({ text: name, x: left, y: 28, size: 13, fill: COLOURS.text })];
  });
}

/** The first and the last always, others where there is room. */
function datesShown(dates: readonly number[], x: (at: number) => number): { at: number; anchor: 'start' | 'middle' | 'end' }[] {
  const [first, last] = [dates[0], dates.at(-1)];
  if (first === undefined || last === undefined) return [];
  if (first === last) return [{ at: first, anchor: 'middle' }];
  const room = 96;
  let right = x(first) + room / 2;
  const between = dates.filter((at) => {
    const place = x(at);
    if (place < right + room / 2 || place > x(last) - 1.5 * room) return false;
    right = place + room / 2;
    return true;
  });
  return [{ at: first, anchor: 'start' }, ...between.map((at) => ({ at, anchor: 'middle' as const })), { at: last, anchor: 'end' }];
}

function colourOf(index: number): string {
  return `rgb(${(SEGMENT_COLOURS[index % SEGMENT_COLOURS.length] ?? [255, 255, 255]).join(',')})`;
}

/** A round number. */
function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value) ?? 10) * power;
}
