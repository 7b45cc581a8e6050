import sharp from 'sharp';
import type { Interval, RocPoint } from '../../imaging/evaluation/roc.js';
import { drawLine, type Line } from '../../platform/threads/lettering.js';

export interface RocPicture {
  title: string;
  subtitle: string;
  curves: readonly { name: string; auc: Interval; points: readonly RocPoint[] }[];
  /** The mark of the model's threshold; for a single curve. */
  operatingPoint?: { falsePositiveRate: number; truePositiveRate: number; text: string };
}

const PLOT = { left: 90, top: 96, side: 620 };
const COLOURS = ['#0b6bcb', '#c2410c', '#15803d', '#7e22ce', '#0f172a', '#be185d', '#0e9aa7', '#a16207'];
const LISTED = 15;

/** ROC curves with axes, grid, chance line and AUC. @returns PNG */
export async function drawRoc(picture: RocPicture): Promise<Buffer> {
  return sharp(Buffer.from(rocSvg(picture))).flatten({ background: '#ffffff' }).png().toBuffer();
}

export function rocSvg({ title, subtitle, curves, operatingPoint }: RocPicture): string {
  const isSingle = curves.length === 1;
  const width = PLOT.left + PLOT.side + (isSingle ? 40 : 330);
  const height = PLOT.top + PLOT.side + 86;
  const x = (rate: number): string => (PLOT.left + rate * PLOT.side).toFixed(1);
  const y = (rate: number): string => (PLOT.top + (1 - rate) * PLOT.side).toFixed(1);
  const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1];
  const grid = ticks.map((tick) => `<path d="M${x(tick)} ${y(0)}V${y(1)}M${x(0)} ${y(tick)}H${x(1)}" stroke="#e2e8f0" fill="none"/>
${drawLine({ text: tick.toFixed(1), x: Number(x(tick)), y: PLOT.top + PLOT.side + 26, size: 16, fill: '#334155', anchor: 'middle' })}
${drawLine({ text: tick.toFixed(1), x: PLOT.left - 12, y: Number(y(tick)) + 6, size: 16, fill: '#334155', anchor: 'end' })}`).join('\n');
  const lines = curves.map(({ points }, index) => {
    const path = points.map(({ falsePositiveRate, truePositiveRate }, at) => `${at === 0 ? 'M' : 'L'}${x(falsePositiveRate)} ${y(truePositiveRate)}`).join('');
    const area = isSingle ? `<path d="${path}L${x(1)} ${y(0)}Z" fill="${colour(index)}" fill-opacity="0.08"/>` : '';
    return `${area}<path d="${path}" fill="none" stroke="${colour(index)}" stroke-width="${isSingle ? '3' : '2'}"${dashes(index)} stroke-linejoin="round"/>`;
  }).join('\n');
  const legend = isSingle ? '' : curves.slice(0, LISTED).map(({ name, auc }, index) => {
    const row = PLOT.top + 14 + index * 30;
    return `<path d="M${String(PLOT.left + PLOT.side + 26)} ${String(row - 5)}h26" stroke="${colour(index)}" stroke-width="3"${dashes(index)}/>${drawLine({ text: `${auc.value.toFixed(4)}  ${name}`, x: PLOT.left + PLOT.side + 62, y: row, size: 16, fill: '#0f172a', room: 250 })}`;
  }).join('\n');
  const spot = operatingPoint && { x: Number(x(operatingPoint.falsePositiveRate)), y: Number(y(operatingPoint.truePositiveRate)) };
  const mark = operatingPoint && spot
    ? `<circle cx="${String(spot.x)}" cy="${String(spot.y)}" r="7" fill="#ffffff" stroke="#c2410c" stroke-width="3"/>${drawLine({ text: operatingPoint.text, x: PLOT.left + PLOT.side - 16, y: PLOT.top + PLOT.side - 20, size: 16, fill: '#c2410c', anchor: 'end' })}`
    : '';
  const middle = PLOT.top + PLOT.side / 2;
  const titles: Line[] = [
    { text: title, x: PLOT.left, y: 42, size: 24, weight: 'semibold', fill: '#0f172a' },
    { text: subtitle, x: PLOT.left, y: 72, size: 16, fill: '#475569', room: width - PLOT.left - 20 },
    { text: '1 − specificity (false positive rate)', x: Number(x(0.5)), y: PLOT.top + PLOT.side + 60, size: 18, fill: '#0f172a', anchor: 'middle' },
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}">
<rect width="100%" height="100%" fill="#ffffff"/>
${grid}
<path d="M${x(0)} ${y(0)}L${x(1)} ${y(1)}" stroke="#94a3b8" stroke-width="1.5" stroke-dasharray="6 6"/>
${lines}
<rect x="${String(PLOT.left)}" y="${String(PLOT.top)}" width="${String(PLOT.side)}" height="${String(PLOT.side)}" fill="none" stroke="#334155" stroke-width="1.5"/>
${mark}
${legend}
${titles.map(drawLine).join('')}
<g transform="translate(32 ${String(middle)}) rotate(-90)">${drawLine({ text: 'Sensitivity (true positive rate)', x: 0, y: 0, size: 18, fill: '#0f172a', anchor: 'middle' })}</g>
</svg>`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? '#0b6bcb';
}

/** Colours come round again dashed. */
function dashes(index: number): string {
  return index < COLOURS.length ? '' : ' stroke-dasharray="7 4"';
}
