import sharp, { type OverlayOptions } from 'sharp';
import type { Sides } from '../../imaging/render/orientation.js';
import { overlayHeatMap, type HeatMap } from '../../imaging/render/overlay.js';
import { resize } from '../../imaging/render/resize.js';
import { overlaySegments, type SegmentPlane } from '../../imaging/render/segments.js';
import type { DisplayImage } from '../../imaging/render/window.js';
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

export interface Preview {
  image: DisplayImage;
  heatMap: HeatMap | undefined;
  segments?: SegmentPlane | undefined;
  legend: PreviewLegend;
  /** Undefined when the object does not say which side is which. */
  sides: Sides | undefined;
}

/** Longest side of a preview in pixels, legend included. */
export const PREVIEW_SIZE = 1024;
export const LEGEND_HEIGHT = 104;

/** Smaller images are enlarged to this, so that the legend does not dwarf them. */
const MIN_IMAGE_SIDE = 640;
const MIN_WIDTH = 640;
const MARGIN = 20;
const CAPTION_GAP = 10;
/** Segments that the legend has room for. */
const MOST_NAMED = 4;
const BAR = { width: 168, height: 10, top: 44 };
/** At half height, where no one burns letters into an image. */
const SIDE = { size: 34, margin: 10 };
const COLOURS = { canvas: '#000000', legend: '#0d1117', line: '#21303f', caption: '#f0f4f8', detail: '#9fb0c0', disclaimer: '#e6b450' };

/**
 * The image with the heat map over it, above a legend strip. For a thread: it computes and draws.
 *
 * @returns PNG, at most `PREVIEW_SIZE` on the long side
 */
export async function drawPreview({ image, heatMap, segments, legend, sides }: Preview): Promise<Buffer> {
  const { width, height } = fitted(image.width, image.height);
  const sized = resize(image, width, height);
  const warm = heatMap ? overlayHeatMap(sized, heatMap) : sized;
  const { data, channels } = segments ? overlaySegments(warm, segments) : warm;
  const named = heatMap ? [] : (segments?.segments ?? []).filter(({ name }) => name !== '').slice(0, MOST_NAMED);
  const canvasWidth = Math.max(width, MIN_WIDTH);
  const left = Math.floor((canvasWidth - width) / 2);
  const layers: OverlayOptions[] = [
    { input: await sharp(data, { raw: { width, height, channels } }).toColourspace('srgb').png({ compressionLevel: 0 }).toBuffer(), left, top: 0 },
    { input: svg(canvasWidth, LEGEND_HEIGHT, legendStrip(legend, canvasWidth, heatMap !== undefined, named)), left: 0, top: height },
  ];
  if (heatMap) layers.push({ input: await colourBar(), left: canvasWidth - MARGIN - BAR.width, top: height + BAR.top });
  if (sides && width > 2 * SIDE.size + 4 * SIDE.margin && height > SIDE.size) {
    const top = Math.floor((height - SIDE.size) / 2);
    layers.push({ input: sideMark(sides.left), left: left + SIDE.margin, top });
    layers.push({ input: sideMark(sides.right), left: left + width - SIDE.margin - SIDE.size, top });
  }
  return sharp({ create: { width: canvasWidth, height: height + LEGEND_HEIGHT, channels: 3, background: COLOURS.canvas } }).composite(layers).png({ compressionLevel: 6 }).toBuffer();
}

/** The size of the image itself: within the preview's bounds, and not tiny. */
function fitted(width: number, height: number): { width: number; height: number } {
  const most = Math.min(PREVIEW_SIZE / width, (PREVIEW_SIZE - LEGEND_HEIGHT) / height);
  const least = MIN_IMAGE_SIDE / Math.max(width, height);
  const scale = Math.min(most, Math.max(1, least));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

function legendStrip({ caption, value, detail, disclaimer, evidence }: PreviewLegend, width: number, withBar: boolean, named: SegmentPlane['segments']): string {
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

/** A letter that is legible on black and on white. */
function sideMark(letter: string): Buffer {
  const line = drawLine({ text: letter, x: SIDE.size / 2, y: SIDE.size * 0.71, size: 20, weight: 'semibold', fill: COLOURS.caption, anchor: 'middle' });
  return svg(SIDE.size, SIDE.size, `<rect width="100%" height="100%" rx="6" fill="#000000" fill-opacity="0.55"/>${line}`);
}

function svg(width: number, height: number, content: string): Buffer {
  return Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${String(width)}" height="${String(height)}">${content}</svg>`);
}

/** The overlay's own colours over a dark grey, from no evidence to the strongest. */
async function colourBar(): Promise<Buffer> {
  const { width, height } = BAR;
  const ramp = { width, height: 1, data: Float32Array.from({ length: width }, (_, x) => x / (width - 1)) };
  const { data } = overlayHeatMap({ width, height: 1, channels: 1, data: new Uint8Array(width).fill(56) }, ramp, { opacity: 1 });
  return sharp(data, { raw: { width, height: 1, channels: 3 } }).resize(width, height, { fit: 'fill', kernel: 'nearest' }).png().toBuffer();
}
