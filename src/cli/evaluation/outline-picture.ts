import sharp from 'sharp';
import type { TumourRegion } from '../../imaging/model/manifests/tumour-report.js';
import { overlaySegments, type Colour } from '../../imaging/render/segments.js';
import type { DisplayImage } from '../../imaging/render/window.js';
import { drawLine, type Line } from '../../platform/threads/lettering.js';
import type { RegionMasks } from './segmentation.js';

/** Pixels. A panel is as wide for every case; as high as its slice asks. */
const [PANEL, GAP, HEAD, FOOT] = [440, 12, 84, 44];
const BACKGROUND = '#0f172a';
/** Told apart by people who do not see red or green as others do; where both run, the finding is on top. */
const COLOURS: Readonly<Record<'truth' | 'found', Colour>> = { truth: [86, 180, 233], found: [230, 159, 0] };
export const REGION_NAMES: Readonly<Record<TumourRegion, string>> = { 'whole-tumour': 'Whole tumour', 'tumour-core': 'Tumour core', 'enhancing-tumour': 'Enhancing tumour' };

/** A slice with what is true and what was found in it. */
export interface OutlinePicture {
  title: string;
  subtitle: string;
  image: DisplayImage;
  /** Millimetres between columns and between rows. */
  spacing: readonly [number, number];
  /** Masks of the slice: `[y, x]`, 0 or 1. */
  regions: readonly (RegionMasks & { caption: string })[];
}

/** The slice with most tumour of the truth, else of the finding; the one in the middle where there is neither. */
export function fullestSlice(regions: readonly RegionMasks[], [columns, rows, slices]: readonly [number, number, number]): number {
  const area = columns * rows;
  for (const kind of ['truth', 'found'] as const) {
    const counts = Array.from({ length: slices }, (_, k) => regions.reduce((sum, one) => sum + one[kind].subarray(k * area, (k + 1) * area).reduce((count, value) => count + value, 0), 0));
    const most = Math.max(...counts);
    if (most > 0) return counts.indexOf(most);
  }
  return Math.floor(slices / 2);
}

/** A panel for each region: the outline of the truth in blue, that of the finding in orange. @returns PNG */
export async function drawOutlines({ title, subtitle, image, spacing, regions }: OutlinePicture): Promise<Buffer> {
  const height = Math.max(1, Math.round((PANEL * image.height * spacing[1]) / (image.width * spacing[0])));
  const width = regions.length * PANEL + (regions.length + 1) * GAP;
  const enlarged = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: image.channels } }).resize(PANEL, height, { fit: 'fill', kernel: 'cubic' }).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
  const shown: DisplayImage = { width: PANEL, height, channels: enlarged.info.channels === 1 ? 1 : 3, data: enlarged.data };
  const panels = regions.map(({ found, truth }) => {
    // 1 true, 2 found, 3 both.
    const labels = truth.map((value, at) => value + 2 * (found[at] ?? 0));
    return overlaySegments(shown, { width: image.width, height: image.height, labels, segments: [{ name: 'truth', values: [1, 3], colour: COLOURS.truth }, { name: 'found', values: [2, 3], colour: COLOURS.found }] }, { fill: 0 });
  });
  const left = (index: number): number => GAP + index * (PANEL + GAP);
  const lines: Line[] = [
    { text: title, x: GAP, y: 34, size: 22, weight: 'semibold', fill: '#f8fafc', room: width - 260 },
    { text: subtitle, x: GAP, y: 64, size: 15, fill: '#cbd5e1', room: width - 2 * GAP },
    { text: 'truth', x: width - GAP - 70, y: 34, size: 18, fill: rgb(COLOURS.truth), anchor: 'end' },
    { text: 'found', x: width - GAP, y: 34, size: 18, fill: rgb(COLOURS.found), anchor: 'end' },
    ...regions.map(({ caption }, index): Line => ({ text: caption, x: left(index), y: HEAD + height + 28, size: 17, fill: '#f8fafc', room: PANEL })),
  ];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(HEAD + height + FOOT)}"><rect width="100%" height="100%" fill="${BACKGROUND}"/>${lines.map(drawLine).join('')}</svg>`;
  return sharp(Buffer.from(svg))
    .composite(panels.map(({ data }, index) => ({ input: Buffer.from(data), raw: { width: PANEL, height, channels: 3 as const }, left: left(index), top: HEAD })))
    .png().toBuffer();
}

function rgb(colour: Colour): string {
  return `rgb(${colour.join(',')})`;
}
