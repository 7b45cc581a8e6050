// Pictures of panels, near enough to Grafana's to see whether they say what they should.
import { stepOf } from './prometheus-answers.mjs';

const PALETTE = ['#7eb26d', '#eab839', '#6ed0e0', '#ef843c', '#e24d42', '#1f78c1', '#ba43a9', '#705da0', '#508642', '#cca300'];
const COLOURS = { red: '#c4162a', orange: '#fa6400', green: '#37872d', blue: '#1f60c4' };
const TEXT = 'font-family="DejaVu Sans, Arial, sans-serif"';
const LEGEND_ROW = 14;
const MOST_LEGENDS = 12;

/**
 * @param series  as `answersOf` gives them
 * @param box  {width, height} in pixels
 * @param window  {from, to} in seconds
 * @returns SVG of the inside of the box
 */
export function drawnPanel(panel, series, box, window) {
  const title = `<text x="8" y="16" font-size="12" font-weight="bold" fill="#222" ${TEXT}>${escaped(panel.title)}</text>`;
  const inside = { x: 6, y: 22, width: box.width - 12, height: box.height - 28 };
  const shown = series.filter(({ points }) => points.some(([, value]) => Number.isFinite(value)));
  const drawn = { stat: drawnStat, timeseries: drawnLines, bargauge: drawnBars, table: drawnTable }[panel.type](panel, shown, inside, window);
  return `<rect width="${box.width}" height="${box.height}" fill="#fff" stroke="#ccc"/>${drawn}${title}`;
}

function drawnStat({ fieldConfig: { defaults }, options }, series, { x, y, width, height }) {
  // What is said where there is no number.
  const said = defaults.mappings.find(({ type }) => type === 'special')?.options.result;
  const parts = series.length === 0 ? [{ legend: '', text: said?.text ?? defaults.noValue ?? 'No data', colour: said ? COLOURS[said.color] : '#888' }] : series.map(({ legend, points }) => ({ legend, text: formatted(points.at(-1)[1], defaults), colour: colourOf(points.at(-1)[1], defaults) }));
  const share = width / parts.length;
  return parts.map(({ legend, text, colour }, index) => {
    const isFilled = options.colorMode === 'background' && (series.length > 0 || said !== undefined);
    const size = Math.min(26, (share / Math.max(3, text.length)) * 1.5);
    const middle = x + share * (index + 0.5);
    return `${isFilled ? `<rect x="${x + share * index}" y="${y}" width="${share - 3}" height="${height}" fill="${colour}"/>` : ''}
      <text x="${middle}" y="${y + height / 2 + size / 3}" font-size="${size}" text-anchor="middle" fill="${isFilled ? '#fff' : colour}" ${TEXT}>${escaped(text)}</text>
      ${series.length > 1 || legend !== '' ? `<text x="${middle}" y="${y + height - 6}" font-size="9" text-anchor="middle" fill="${isFilled ? '#fff' : '#555'}" ${TEXT}>${escaped(cut(legend, share / 5.5))}</text>` : ''}`;
  }).join('');
}

function drawnLines(panel, series, { x, y, width, height }, { from, to }) {
  const { defaults } = panel.fieldConfig;
  const step = stepOf({ from, to });
  if (series.length === 0) return noData({ x, y, width, height });
  const rows = Math.ceil(Math.min(series.length, MOST_LEGENDS) / 2);
  const plot = { x: x + 58, y: y + 4, width: width - 66, height: height - 22 - rows * LEGEND_ROW };
  const isStacked = defaults.custom.stacking.mode === 'normal';
  const limit = defaults.custom.thresholdsStyle.mode === 'line' ? defaults.thresholds.steps.at(-1) : undefined;
  const sums = new Map();
  const curves = series.map(({ legend, points }) => ({
    legend,
    points: points.map(([at, value]) => {
      const below = isStacked ? (sums.get(at) ?? 0) : 0;
      const top = below + (Number.isFinite(value) ? value : 0);
      sums.set(at, top);
      return { at, below, top: Number.isFinite(value) ? top : NaN };
    }),
  }));
  const highest = Math.max(...curves.flatMap(({ points }) => points.map(({ top }) => (Number.isFinite(top) ? top : 0))), 0);
  // As Grafana: the limit is drawn where the curves are near it.
  const most = defaults.max ?? (highest > 0 ? highest * 1.1 : 1);
  const at = (time) => plot.x + ((time - from) / (to - from)) * plot.width;
  const up = (value) => plot.y + plot.height - (Math.min(value, most) / most) * plot.height;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => part * most);
  const times = [0, 0.25, 0.5, 0.75, 1].map((part) => from + part * (to - from));
  return `
    ${ticks.map((value) => `<line x1="${plot.x}" x2="${plot.x + plot.width}" y1="${up(value)}" y2="${up(value)}" stroke="#e6e6e6"/><text x="${plot.x - 4}" y="${up(value) + 3}" font-size="9" text-anchor="end" fill="#555" ${TEXT}>${escaped(formatted(value, defaults))}</text>`).join('')}
    ${times.map((time) => `<text x="${at(time)}" y="${plot.y + plot.height + 12}" font-size="9" text-anchor="middle" fill="#555" ${TEXT}>${new Date(time * 1000).toISOString().slice(11, 19)}</text>`).join('')}
    ${curves.map(({ points }, index) => drawnCurve(points, PALETTE[index % PALETTE.length], at, up, { isStacked, step })).join('')}
    ${limit !== undefined && limit.value <= most ? `<line x1="${plot.x}" x2="${plot.x + plot.width}" y1="${up(limit.value)}" y2="${up(limit.value)}" stroke="${COLOURS.red}" stroke-dasharray="5 3"/>` : ''}
    ${curves.slice(0, MOST_LEGENDS).map(({ legend }, index) => {
      const [left, top] = [x + 8 + (index % 2) * (width / 2), plot.y + plot.height + 24 + Math.floor(index / 2) * LEGEND_ROW];
      return `<rect x="${left}" y="${top - 6}" width="12" height="4" fill="${PALETTE[index % PALETTE.length]}"/><text x="${left + 16}" y="${top}" font-size="9" fill="#333" ${TEXT}>${escaped(cut(legend, width / 12))}</text>`;
    }).join('')}`;
}

/** Interrupted where nothing is known. */
function drawnCurve(points, colour, at, up, { isStacked, step }) {
  const pieces = [];
  for (const point of points) {
    const before = pieces.at(-1)?.at(-1);
    if (!Number.isFinite(point.top)) pieces.push([]);
    else if (pieces.length === 0 || (before !== undefined && point.at - before.at > step * 1.5)) pieces.push([point]);
    else pieces.at(-1).push(point);
  }
  return pieces.filter((piece) => piece.length > 0).map((piece) => {
    const line = piece.map(({ at: time, top }) => `${at(time).toFixed(1)},${up(top).toFixed(1)}`).join(' ');
    const base = [...piece].reverse().map(({ at: time, below }) => `${at(time).toFixed(1)},${up(below).toFixed(1)}`).join(' ');
    const dot = piece.length === 1 ? `<circle cx="${at(piece[0].at)}" cy="${up(piece[0].top)}" r="2" fill="${colour}"/>` : '';
    return `<polygon points="${line} ${base}" fill="${colour}" fill-opacity="${isStacked ? 0.4 : 0.08}"/><polyline points="${line}" fill="none" stroke="${colour}" stroke-width="1.3"/>${dot}`;
  }).join('');
}

function drawnBars({ fieldConfig: { defaults } }, series, { x, y, width, height }) {
  if (series.length === 0) return noData({ x, y, width, height });
  const most = defaults.max ?? Math.max(...series.map(({ points }) => points.at(-1)[1]), 0);
  const row = Math.min(34, height / series.length);
  return series.map(({ legend, points }, index) => {
    const value = points.at(-1)[1];
    const top = y + index * row;
    return `<text x="${x + 4}" y="${top + row / 2 + 4}" font-size="10" fill="#333" ${TEXT}>${escaped(cut(legend, 28))}</text>
      <rect x="${x + 180}" y="${top + 4}" width="${width - 260}" height="${row - 8}" fill="#eee"/>
      <rect x="${x + 180}" y="${top + 4}" width="${(width - 260) * (most > 0 ? Math.min(1, value / most) : 0)}" height="${row - 8}" fill="${colourOf(value, defaults)}"/>
      <text x="${x + width - 70}" y="${top + row / 2 + 4}" font-size="12" fill="#222" ${TEXT}>${escaped(formatted(value, defaults))}</text>`;
  }).join('');
}

function drawnTable({ fieldConfig: { defaults }, transformations }, series, { x, y, width, height }) {
  if (series.length === 0) return noData({ x, y, width, height });
  const labels = [...new Set(series.flatMap(({ labels: own }) => Object.keys(own)))].filter((label) => label !== '__name__');
  const column = width / (labels.length + 1);
  const rows = [[...labels, transformations[0].options.renameByName.Value], ...series.map(({ labels: own, points }) => [...labels.map((label) => own[label] ?? ''), formatted(points.at(-1)[1], defaults)])];
  return rows.map((cells, row) => cells.map((cell, index) => `<text x="${x + 6 + index * column}" y="${y + 14 + row * 16}" font-size="10" font-weight="${row === 0 ? 'bold' : 'normal'}" fill="#333" ${TEXT}>${escaped(cut(cell, column / 6))}</text>`).join('')).join('');
}

function noData({ x, y, width, height }) {
  return `<text x="${x + width / 2}" y="${y + height / 2}" font-size="14" text-anchor="middle" fill="#999" ${TEXT}>No data</text>`;
}

function colourOf(value, { thresholds }) {
  return COLOURS[thresholds.steps.filter(({ value: from }) => from === null || value >= from).at(-1).color];
}

function formatted(value, { unit = 'short', decimals }) {
  if (!Number.isFinite(value)) return '–';
  const fixed = (number, otherwise) => number.toFixed(decimals ?? otherwise).replace(/\.0+$/, '');
  if (unit === 'percentunit') return `${fixed(value * 100, 1)}%`;
  if (unit === 's') return value >= 86_400 ? `${fixed(value / 86_400, 1)} d` : value >= 3600 ? `${fixed(value / 3600, 1)} h` : value >= 60 ? `${fixed(value / 60, 1)} min` : value >= 1 || value === 0 ? `${fixed(value, 2)} s` : `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms`;
  if (unit === 'd') return `${fixed(value, 1)} d`;
  if (unit === 'bytes' || unit === 'Bps') {
    const step = Math.min(4, Math.max(0, Math.floor(Math.log(Math.max(1, value)) / Math.log(1024))));
    return `${fixed(value / 1024 ** step, 1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][step]}${unit === 'Bps' ? '/s' : ''}`;
  }
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${fixed(value, digits)}${unit.startsWith('suffix:') ? unit.slice(7) : ''}`;
}

function cut(text, length) {
  return text.length > length ? `${text.slice(0, Math.max(1, Math.floor(length) - 1))}…` : text;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
