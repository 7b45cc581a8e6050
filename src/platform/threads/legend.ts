import sharp, { type Sharp } from 'sharp';
import { overlayHeatMap } from '../../imaging/render/overlay.js';
import type { SegmentPlane } from '../../imaging/render/segments.js';
import { drawLine, widthOf } from './lettering.js';

/** What stands below the image. */
export interface PreviewLegend {
  /** What was found; cut when it is too long. */
  caption: string;
  /** Stands behind the caption and is never cut. */
  value: string;
  /** A second, quieter line. */
  detail: string;
  disclaimer: string;
  /** Title and ends of the colour bar of the heat map. */
  evidence: { title: string; weak: string; strong: string };
}

export const LEGEND_HEIGHT = 104;

const MARGIN = 20;
const CAPTION_GAP = 10;
/** Segments that the legend has room for. */
const MOST_NAMED = 4;
export const BAR = { width: 168, height: 10, top: 44, margin: MARGIN };
export const COLOURS = { canvas: '#000000', legend: '#0d1117', line: '#21303f', caption: '#f0f4f8', detail: '#9fb0c0', disclaimer: '#e6b450' };

/** The strip as SVG content; with room for the colour bar of a heat map, or else with the names of segments. */
export function legendStrip({ caption, value, detail, disclaimer, evidence }: PreviewLegend, width: number, withBar: boolean, segments: SegmentPlane['segments']): string {
  const named = withBar ? [] : segments.filter(({ name }) => name !== '').slice(0, MOST_NAMED);
  const end = width - MARGIN;
  const bar = end - BAR.width;
  const room = (withBar || named.length > 0 ? bar - MARGIN : end) - MARGIN;
  const captionRoom = room - CAPTION_GAP - widthOf(value, 22, 'semibold');
  const captionEnd = MARGIN + Math.min(widthOf(caption, 22, 'semibold'), captionRoom);
  const lines = [
    drawLine({ text: caption, x: MARGIN, y: 36, size: 22, weight: 'semibold', fill: COLOURS.caption, room: captionRoom }),
    drawLine({ text: value, x: captionEnd + CAPTION_GAP, y: 36, size: 22, weight: 'semibold', fill: COLOURS.caption }),
    drawLine({ text: detail, x: MARGIN, y: 62, size: 14, fill: COLOURS.detail, room }),
    drawLine({ text: disclaimer, x: MARGIN, y: 86, size: 14, fill: COLOURS.disclaimer, room }),
  ];
  if (withBar) {
    lines.push(
      drawLine({ text: evidence.title, x: bar, y: 35, size: 13, fill: COLOURS.detail, room: BAR.width }),
      drawLine({ text: evidence.weak, x: bar, y: 73, size: 12, fill: COLOURS.detail, room: BAR.width / 2 }),
      drawLine({ text: evidence.strong, x: end, y: 73, size: 12, fill: COLOURS.detail, anchor: 'end', room: BAR.width / 2 }),
    );
  }
  for (const [index, { name, colour }] of named.entries()) {
    const y = 16 + index * 22;
    lines.push(`<rect x="${String(bar)}" y="${String(y)}" width="14" height="14" rx="3" fill="rgb(${colour.join(',')})"/>`, drawLine({ text: name, x: bar + 22, y: y + 12, size: 13, fill: COLOURS.detail, room: BAR.width - 22 }));
  }
  return `<rect width="100%" height="100%" fill="${COLOURS.legend}"/><rect width="100%" height="1" fill="${COLOURS.line}"/>${lines.join('')}`;
}

/** Letters that are legible on black and on white, as SVG content at a place. */
export function sideMark(letters: string, x: number, y: number, size: number): string {
  const line = drawLine({ text: letters, x: size / 2, y: size * 0.71, size: size * (letters.length > 1 ? 0.5 : 0.59), weight: 'semibold', fill: COLOURS.caption, anchor: 'middle' });
  return `<g transform="translate(${String(x)} ${String(y)})"><rect width="${String(size)}" height="${String(size)}" rx="${String(size * 0.18)}" fill="#000000" fill-opacity="0.55"/>${line}</g>`;
}

export function svg(width: number, height: number, content: string): Buffer {
  return Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}">${content}</svg>`);
}

/** A preview is exact; what a report shows beside its words may be small. */
export function encoded(picture: Sharp, isPreview: boolean): Promise<Buffer> {
  return isPreview ? picture.png({ compressionLevel: 6 }).toBuffer() : picture.removeAlpha().jpeg({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer();
}

/** The overlay's own colours over a dark grey, from no evidence to the strongest. */
export async function colourBar(): Promise<Buffer> {
  const { width, height } = BAR;
  const ramp = { width, height: 1, data: Float32Array.from({ length: width }, (_, x) => x / (width - 1)) };
  const { data } = overlayHeatMap({ width, height: 1, channels: 1, data: new Uint8Array(width).fill(56) }, ramp, { opacity: 1 });
  return sharp(data, { raw: { width, height: 1, channels: 3 } }).resize(width, height, { fit: 'fill', kernel: 'nearest' }).png().toBuffer();
}
