#!/usr/bin/env node
// Draws every panel of every dashboard from what a Prometheus answers, a PNG for each dashboard: to see what they say without a Grafana.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { drawnPanel } from './drawn-panel.mjs';
import { answersOf } from './prometheus-answers.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const FOLDER = join(ROOT, 'helm', 'healthvision', 'files', 'grafana');
const COLUMN = 60;
const ROW = 34;
const GAP = 6;

/**
 * @param prometheus  its address
 * @param window  {from, to} in seconds since 1970, rate: what `$__rate_interval` is, such as `1m`
 * @param folder  where the pictures go
 * @returns paths of the pictures
 */
export async function drawDashboards({ prometheus, window, folder }) {
  mkdirSync(folder, { recursive: true });
  const drawn = [];
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.json'))) {
    const { title, panels } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'));
    const height = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)) * ROW + 30;
    const parts = await Promise.all(panels.map(async (panel) => {
      const { x, y, w, h } = panel.gridPos;
      const box = { width: w * COLUMN - GAP, height: h * ROW - GAP };
      const inside = panel.type === 'row' ? `<text x="4" y="20" font-size="14" font-family="DejaVu Sans, Arial, sans-serif">${panel.title}</text>` : drawnPanel(panel, await answersOf(prometheus, panel, window), box, window);
      return `<g transform="translate(${x * COLUMN + GAP / 2} ${y * ROW + 30})">${inside}</g>`;
    }));
    const width = 24 * COLUMN;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#f4f5f5"/><text x="8" y="20" font-size="15" font-weight="bold" font-family="DejaVu Sans, Arial, sans-serif">${title}</text>${parts.join('')}</svg>`;
    const path = join(folder, file.replace('.json', '.png'));
    await sharp(Buffer.from(svg)).png({ compressionLevel: 6 }).toFile(path);
    drawn.push(path);
  }
  return drawn;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.includes('--help')) {
    console.log('usage: node test/ops/draw-dashboards.mjs [--prometheus URL] [--minutes N] [--rate DURATION] [--out FOLDER]   (default http://localhost:9090, the last 60 minutes, 1m, test-results/dashboards)');
    process.exit(0);
  }
  const option = (name, otherwise) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : otherwise);
  const to = Date.now() / 1000;
  const window = { from: to - 60 * Number(option('--minutes', 60)), to, rate: option('--rate', '1m') };
  for (const path of await drawDashboards({ prometheus: option('--prometheus', 'http://localhost:9090'), window, folder: option('--out', join(ROOT, 'test-results', 'dashboards')) })) console.log(path);
}
