import sharp from 'sharp';
import { asSeen, planeView, rectangleOf, windowed, type PlaneName, type PlaneView } from '../../imaging/render/plane-view.js';
import { resize } from '../../imaging/render/resize.js';
import { scaleBar } from '../../imaging/render/scale-bar.js';
import type { Planes, SectionPlan } from '../../imaging/render/sections.js';
import { overlaySegments, SEGMENT_COLOURS, type SegmentPlane } from '../../imaging/render/segments.js';
import type { DisplayImage, Window } from '../../imaging/render/window.js';
import type { Grid, Vector3 } from '../../imaging/volume/volume.js';
import { COLOURS, encoded, LEGEND_HEIGHT, legendStrip, sideMark, svg, type PreviewLegend } from './legend.js';
import { drawLine, widthOf } from './lettering.js';

/** What the preview of a finding in a volume is drawn from. */
export interface SectionPreview {
  grid: Grid;
  plan: SectionPlan;
  /** Modality values. */
  planes: Planes<Float32Array>;
  /** What was segmented; null where nothing was, and the box is drawn instead. */
  labels: Planes<Uint8Array> | null;
  segments: SegmentPlane['segments'];
  /** Opacity of what was segmented, between its outlines. */
  fill: number;
  /** Of the finding, as fractional indices. */
  box: readonly [Vector3, Vector3] | null;
  window: Window;
  /** One large, or the first one large with up to two small ones beside it. */
  views: readonly { plane: PlaneName; name: string }[];
  /** Null for the image alone, as JPEG. */
  legend: PreviewLegend | null;
}

/** Pixels. */
const LARGE = 640;
const GAP = 8;
const SMALL = (LARGE - GAP) / 2;
const MARGIN = 8;

/** Sizes of what stands on a panel: letters, name, scale, lines. */
interface Lettering {
  mark: number;
  /** 0 where others name the plane. */
  name: number;
  scale: number;
  line: number;
}

const LETTERING: Readonly<Record<'large' | 'small' | 'print', Lettering>> = {
  large: { mark: 34, name: 16, scale: 14, line: 2 },
  small: { mark: 24, name: 13, scale: 12, line: 1 },
  // A report shows the image at a third of its size.
  print: { mark: 64, name: 0, scale: 34, line: 4 },
};

interface Panel extends Lettering {
  x: number;
  y: number;
  side: number;
}

/**
 * Planes through a finding with what was segmented, orientation, scale and legend. For a thread: it computes and draws.
 *
 * @returns PNG; JPEG without a legend
 */
export async function drawSectionPreview({ views, legend, ...content }: SectionPreview): Promise<Buffer> {
  const width = views.length > 1 ? LARGE + GAP + SMALL : LARGE;
  const height = LARGE + (legend ? LEGEND_HEIGHT : 0);
  const canvas = new Uint8Array(width * height * 3);
  let marks = legend ? `<svg y="${String(LARGE)}" width="${String(width)}" height="${String(LEGEND_HEIGHT)}">${legendStrip(legend, width, false, content.segments)}</svg>` : '';
  for (const [index, { plane, name }] of views.entries()) {
    const panel = index === 0 ? { x: 0, y: 0, side: LARGE, ...LETTERING[legend ? 'large' : 'print'] } : { x: LARGE + GAP, y: (index - 1) * (SMALL + GAP), side: SMALL, ...LETTERING.small };
    marks += drawPanel(canvas, width, content, planeView(content.grid, plane), name, panel);
  }
  return encoded(sharp(canvas, { raw: { width, height, channels: 3 } }).composite([{ input: svg(width, height, marks), left: 0, top: 0 }]), legend !== null);
}

/** Draws a plane into the canvas, and gives what stands on top of it as SVG content. */
function drawPanel(canvas: Uint8Array, canvasWidth: number, { plan, planes, labels, segments, fill, box, window }: Omit<SectionPreview, 'views' | 'legend'>, view: PlaneView, name: string, panel: Panel): string {
  const { x, y, side, line } = panel;
  const seen = asSeen(planes, plan, view);
  const [mmRight, mmDown] = view.spacing;
  const pixelsPerMm = Math.min(side / (seen.width * mmRight), side / (seen.height * mmDown));
  const width = Math.max(1, Math.round(seen.width * mmRight * pixelsPerMm));
  const height = Math.max(1, Math.round(seen.height * mmDown * pixelsPerMm));
  const shown = resize(windowed(seen, window), width, height);
  const marked = labels ? asSeen(labels, plan, view) : undefined;
  const image = marked ? overlaySegments(shown, { width: marked.width, height: marked.height, labels: marked.values, segments }, { fill, line }) : shown;
  const [left, top] = [x + Math.floor((side - width) / 2), y + Math.floor((side - height) / 2)];
  paste(canvas, canvasWidth, image, left, top);
  const outline = box && !marked ? outlineOf(rectangleOf(box, plan, view), { left, top, width, height }, [width / seen.width, height / seen.height], line) : '';
  return outline + lettersOf(view, panel) + nameOf(name, panel) + barOf(pixelsPerMm, panel);
}

function paste(canvas: Uint8Array, canvasWidth: number, { width, height, channels, data }: DisplayImage, left: number, top: number): void {
  for (let row = 0; row < height; row++) {
    const to = ((top + row) * canvasWidth + left) * 3;
    if (channels === 3) canvas.set(data.subarray(row * width * 3, (row + 1) * width * 3), to);
    else for (let column = 0; column < width; column++) canvas.fill(data[row * width + column] ?? 0, to + column * 3, to + column * 3 + 3);
  }
}

function outlineOf(rectangle: { x: number; y: number; width: number; height: number }, image: { left: number; top: number; width: number; height: number }, [scaleX, scaleY]: readonly [number, number], line: number): string {
  const [x, y] = [Math.max(0, rectangle.x * scaleX), Math.max(0, rectangle.y * scaleY)];
  const [right, bottom] = [Math.min(image.width, (rectangle.x + rectangle.width) * scaleX), Math.min(image.height, (rectangle.y + rectangle.height) * scaleY)];
  if (right <= x || bottom <= y) return '';
  const colour = SEGMENT_COLOURS[0]?.join(',') ?? '';
  return `<rect x="${(image.left + x).toFixed(1)}" y="${(image.top + y).toFixed(1)}" width="${(right - x).toFixed(1)}" height="${(bottom - y).toFixed(1)}" fill="none" stroke="rgb(${colour})" stroke-width="${String(line)}"/>`;
}

function lettersOf({ letters }: PlaneView, { x, y, side, mark }: Panel): string {
  const [middleX, middleY, far] = [x + (side - mark) / 2, y + (side - mark) / 2, side - mark - MARGIN];
  return [
    sideMark(letters.left, x + MARGIN, middleY, mark), sideMark(letters.right, x + far, middleY, mark),
    sideMark(letters.top, middleX, y + MARGIN, mark), sideMark(letters.bottom, middleX, y + far, mark),
  ].join('');
}

function nameOf(text: string, { x, y, name: size }: Panel): string {
  if (size === 0) return '';
  const width = widthOf(text, size) + 16;
  return `<rect x="${String(x + MARGIN)}" y="${String(y + MARGIN)}" width="${width.toFixed(1)}" height="${String(size + 12)}" rx="5" fill="#000000" fill-opacity="0.55"/>${drawLine({ text, x: x + MARGIN + 8, y: y + MARGIN + size + 3, size, fill: COLOURS.caption })}`;
}

/** At the lower right: a bar of a round length under its name. */
function barOf(pixelsPerMm: number, { x, y, side, scale: size, line }: Panel): string {
  const bar = scaleBar(pixelsPerMm, side * 0.3);
  if (!bar) return '';
  const room = Math.max(bar.pixels, widthOf(bar.text, size));
  const [middle, base] = [x + side - MARGIN - 6 - room / 2, y + side - MARGIN - 6];
  const box = `<rect x="${(middle - room / 2 - 6).toFixed(1)}" y="${(base - size * 1.7).toFixed(1)}" width="${(room + 12).toFixed(1)}" height="${(size * 1.7 + 6).toFixed(1)}" rx="5" fill="#000000" fill-opacity="0.55"/>`;
  const ruler = `<path d="M${(middle - bar.pixels / 2).toFixed(1)} ${(base - size * 0.4).toFixed(1)}V${String(base)}h${bar.pixels.toFixed(1)}V${(base - size * 0.4).toFixed(1)}" fill="none" stroke="${COLOURS.caption}" stroke-width="${String(Math.max(2, line))}"/>`;
  return box + ruler + drawLine({ text: bar.text, x: middle, y: base - size * 0.55, size, fill: COLOURS.caption, anchor: 'middle' });
}
