import sharp, { type OverlayOptions } from 'sharp';
import type { Sides } from '../../imaging/render/orientation.js';
import { overlayHeatMap, type HeatMap } from '../../imaging/render/overlay.js';
import { resize } from '../../imaging/render/resize.js';
import { overlaySegments, type SegmentPlane } from '../../imaging/render/segments.js';
import type { DisplayImage } from '../../imaging/render/window.js';
import { BAR, colourBar, COLOURS, encoded, LEGEND_HEIGHT, legendStrip, sideMark, svg, type PreviewLegend } from './legend.js';

export interface Preview {
  image: DisplayImage;
  heatMap: HeatMap | undefined;
  segments?: SegmentPlane | undefined;
  /** Null for the image alone, as JPEG: for a report, which says the rest itself. */
  legend: PreviewLegend | null;
  /** Undefined when the object does not say which side is which. */
  sides: Sides | undefined;
}

/** Longest side of a preview in pixels, legend included. */
export const PREVIEW_SIZE = 1024;

/** Smaller images are enlarged to this, so that the legend does not dwarf them. */
const MIN_IMAGE_SIDE = 640;
const MIN_WIDTH = 640;
/** At half height, where no one burns letters into an image. */
const SIDE = { size: 34, margin: 10 };

/**
 * The image with the heat map over it, above a legend strip. For a thread: it computes and draws.
 *
 * @returns PNG, at most `PREVIEW_SIZE` on the long side; JPEG without a legend
 */
export async function drawPreview({ image, heatMap, segments, legend, sides }: Preview): Promise<Buffer> {
  const { width, height } = fitted(image.width, image.height);
  const sized = resize(image, width, height);
  const warm = heatMap ? overlayHeatMap(sized, heatMap) : sized;
  const { data, channels } = segments ? overlaySegments(warm, segments) : warm;
  const canvasWidth = legend ? Math.max(width, MIN_WIDTH) : width;
  const canvasHeight = height + (legend ? LEGEND_HEIGHT : 0);
  const left = Math.floor((canvasWidth - width) / 2);
  const layers: OverlayOptions[] = [{ input: await sharp(data, { raw: { width, height, channels } }).toColourspace('srgb').png({ compressionLevel: 0 }).toBuffer(), left, top: 0 }];
  if (legend) layers.push({ input: svg(canvasWidth, LEGEND_HEIGHT, legendStrip(legend, canvasWidth, heatMap !== undefined, segments?.segments ?? [])), left: 0, top: height });
  if (legend && heatMap) layers.push({ input: await colourBar(), left: canvasWidth - BAR.margin - BAR.width, top: height + BAR.top });
  if (sides && width > 2 * SIDE.size + 4 * SIDE.margin && height > SIDE.size) {
    const top = Math.floor((height - SIDE.size) / 2);
    const marks = sideMark(sides.left, SIDE.margin, top, SIDE.size) + sideMark(sides.right, width - SIDE.margin - SIDE.size, top, SIDE.size);
    layers.push({ input: svg(width, height, marks), left, top: 0 });
  }
  return encoded(sharp({ create: { width: canvasWidth, height: canvasHeight, channels: 3, background: COLOURS.canvas } }).composite(layers), legend !== null);
}

/** The size of the image itself: within the preview's bounds, and not tiny. */
function fitted(width: number, height: number): { width: number; height: number } {
  const most = Math.min(PREVIEW_SIZE / width, (PREVIEW_SIZE - LEGEND_HEIGHT) / height);
  const least = MIN_IMAGE_SIDE / Math.max(width, height);
  const scale = Math.min(most, Math.max(1, least));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}
