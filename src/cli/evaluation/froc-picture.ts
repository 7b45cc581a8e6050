import sharp from 'sharp';
import { FALSE_POSITIVE_RATES, type FrocFigures } from '../../imaging/evaluation/froc.js';
import { drawLine, type Line } from '../../platform/threads/lettering.js';

const PLOT = { left: 90, top: 96, width: 760, height: 560 };
/** False positives a scan at the edges of the picture; its axis is logarithmic. */
const [FIRST, LAST] = [1 / 16, 16];
const COLOUR = '#0b6bcb';

/** The FROC curve with the seven points of LUNA16 and their intervals. @returns PNG */
export async function drawFroc(title: string, subtitle: string, figures: FrocFigures): Promise<Buffer> {
  return sharp(Buffer.from(frocSvg(title, subtitle, figures))).flatten({ background: '#ffffff' }).png().toBuffer();
}

export function frocSvg(title: string, subtitle: string, { curve, at }: FrocFigures): string {
  const [width, height] = [PLOT.left + PLOT.width + 40, PLOT.top + PLOT.height + 86];
  const x = (rate: number): number => PLOT.left + (Math.log2(Math.min(LAST, Math.max(FIRST, rate)) / FIRST) / Math.log2(LAST / FIRST)) * PLOT.width;
  const y = (sensitivity: number): number => PLOT.top + (1 - sensitivity) * PLOT.height;
  const across = FALSE_POSITIVE_RATES.map((rate) => `<path d="M${x(rate).toFixed(1)} ${String(PLOT.top)}v${String(PLOT.height)}" stroke="#e2e8f0"/>${drawLine({ text: rate < 1 ? `1/${String(1 / rate)}` : String(rate), x: x(rate), y: PLOT.top + PLOT.height + 26, size: 16, fill: '#334155', anchor: 'middle' })}`);
  const up = [0, 0.2, 0.4, 0.6, 0.8, 1].map((tick) => `<path d="M${String(PLOT.left)} ${y(tick).toFixed(1)}h${String(PLOT.width)}" stroke="#e2e8f0"/>${drawLine({ text: tick.toFixed(1), x: PLOT.left - 12, y: y(tick) + 6, size: 16, fill: '#334155', anchor: 'end' })}`);
  // Steps: between two scores nothing changes, and beyond the last one nothing more is found.
  const steps = curve.map(({ falsePositivesPerScan, sensitivity }, i) => `${i === 0 ? 'M' : `H${x(falsePositivesPerScan).toFixed(1)}V`}${i === 0 ? `${x(falsePositivesPerScan).toFixed(1)} ` : ''}${y(sensitivity).toFixed(1)}`).join('');
  const points = at.map(({ falsePositivesPerScan: rate, sensitivity, low, high }) => `<path d="M${x(rate).toFixed(1)} ${y(low).toFixed(1)}V${y(high).toFixed(1)}" stroke="${COLOUR}" stroke-width="2" stroke-opacity="0.45"/><circle cx="${x(rate).toFixed(1)}" cy="${y(sensitivity).toFixed(1)}" r="6" fill="#ffffff" stroke="${COLOUR}" stroke-width="3"/>`);
  const lines: Line[] = [
    { text: title, x: PLOT.left, y: 42, size: 24, weight: 'semibold', fill: '#0f172a' },
    { text: subtitle, x: PLOT.left, y: 72, size: 16, fill: '#475569', room: width - PLOT.left - 20 },
    { text: 'False positives per scan', x: PLOT.left + PLOT.width / 2, y: PLOT.top + PLOT.height + 60, size: 18, fill: '#0f172a', anchor: 'middle' },
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}">
<rect width="100%" height="100%" fill="#ffffff"/>
${[...across, ...up].join('\n')}
<path d="${steps}" fill="none" stroke="${COLOUR}" stroke-width="3" stroke-linejoin="round"/>
${points.join('\n')}
<rect x="${String(PLOT.left)}" y="${String(PLOT.top)}" width="${String(PLOT.width)}" height="${String(PLOT.height)}" fill="none" stroke="#334155" stroke-width="1.5"/>
${lines.map(drawLine).join('')}
<g transform="translate(32 ${String(PLOT.top + PLOT.height / 2)}) rotate(-90)">${drawLine({ text: 'Sensitivity', x: 0, y: 0, size: 18, fill: '#0f172a', anchor: 'middle' })}</g>
</svg>`;
}
