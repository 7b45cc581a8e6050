import type { Viewport } from '../../../imaging/render/viewport.js';
import type { Window } from '../../../imaging/render/window.js';
import { AppError } from '../../../kernel/errors.js';

/** How a client wants images rendered. @see PS3.18 §8.3.5 */
export interface RenderingQuery {
  window: Window | undefined;
  viewport: RequestedViewport | undefined;
  /** 1–100. */
  quality: number | undefined;
  /** What was asked for and is not done. */
  warnings: readonly string[];
}

/** In pixels of the image; a region may reach to its edge without saying where that is. */
export interface RequestedViewport {
  width: number;
  height: number;
  x: number;
  y: number;
  regionWidth: number | undefined;
  regionHeight: number | undefined;
  flipHorizontally: boolean;
  flipVertically: boolean;
}

const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
const WHOLE = /^\d+$/;
const SHAPES = { linear: 'LINEAR', 'linear-exact': 'LINEAR_EXACT', sigmoid: 'SIGMOID' } as const;
const ANNOTATIONS = new Set(['patient', 'technique']);
const COLOUR_PROFILES = new Set(['no', 'yes', 'srgb', 'adobergb', 'rommrgb']);
/** A side of what is rendered. */
const MAX_VIEWPORT = 4096;

/**
 * Reads the rendering parameters of a URL.
 *
 * @param isThumbnail  takes a viewport without a region, and nothing else
 * @throws AppError `invalid-query` for values that are missing or malformed
 * @see PS3.18 §8.3.5.1, §8.3.5.2
 */
export function renderingQuery(query: URLSearchParams, isThumbnail = false): RenderingQuery {
  const viewport = viewportOf(valueOf(query, 'viewport'), isThumbnail);
  if (isThumbnail) return { window: undefined, viewport, quality: undefined, warnings: [] };
  return { window: windowOf(valueOf(query, 'window')), viewport, quality: qualityOf(valueOf(query, 'quality')), warnings: [...annotationWarnings(valueOf(query, 'annotation')), ...profileWarnings(valueOf(query, 'iccprofile'))] };
}

/** @throws AppError `invalid-query` when the parameter stands there twice */
export function valueOf(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name);
  if (values.length > 1) throw invalid(name, 'must be given once');
  return values[0];
}

/** The viewport on an image of a known size. @throws AppError `invalid-query` when the region lies outside of the image */
export function viewportOn({ width, height, x, y, regionWidth, regionHeight, flipHorizontally, flipVertically }: RequestedViewport, image: { rows: number; columns: number }): Viewport {
  const region = { x, y, width: regionWidth ?? image.columns - x, height: regionHeight ?? image.rows - y };
  const inside = region.width > 0 && region.height > 0 && x + region.width <= image.columns && y + region.height <= image.rows;
  if (!inside) throw invalid('viewport', 'must name a region of the image');
  return { width, height, region, flipHorizontally, flipVertically };
}

function windowOf(text: string | undefined): Window | undefined {
  if (text === undefined) return undefined;
  const [center = '', width = '', shape = '', ...more] = text.split(',');
  const isShape = Object.hasOwn(SHAPES, shape);
  if (!DECIMAL.test(center) || !DECIMAL.test(width) || !isShape || more.length > 0) throw invalid('window', 'must be a center, a width and one of linear, linear-exact, sigmoid');
  // Object.hasOwn has just shown that it is one.
  const window = { center: Number(center), width: Number(width), shape: SHAPES[shape as keyof typeof SHAPES] };
  // PS3.3 C.11.2.1.2.1: a linear window is at least 1 wide, others wider than 0.
  if (!(window.width > 0) || (shape === 'linear' && window.width < 1) || !Number.isFinite(window.center) || !Number.isFinite(window.width)) throw invalid('window', 'must be wider');
  return window;
}

function viewportOf(text: string | undefined, isThumbnail: boolean): RequestedViewport | undefined {
  if (text === undefined) return undefined;
  const parts = text.split(',');
  const [width = '', height = '', ...region] = parts;
  const valid = WHOLE.test(width) && WHOLE.test(height) && Number(width) > 0 && Number(height) > 0 && region.length <= (isThumbnail ? 0 : 4) && region.every((part) => part === '' || DECIMAL.test(part));
  if (!valid) throw invalid('viewport', isThumbnail ? 'must be a width and a height' : 'must be a width and a height, then x, y, width and height of a region');
  if (Number(width) > MAX_VIEWPORT || Number(height) > MAX_VIEWPORT) throw invalid('viewport', `must not be larger than ${String(MAX_VIEWPORT)} pixels`);
  const [x, y, regionWidth, regionHeight] = region.map((part) => (part === '' ? undefined : Number(part)));
  if ((x ?? 0) < 0 || (y ?? 0) < 0 || regionWidth === 0 || regionHeight === 0) throw invalid('viewport', 'must name a region of the image');
  return {
    width: Number(width), height: Number(height), x: x ?? 0, y: y ?? 0,
    regionWidth: regionWidth === undefined ? undefined : Math.abs(regionWidth),
    regionHeight: regionHeight === undefined ? undefined : Math.abs(regionHeight),
    // A negative side turns the image over. PS3.18 §8.3.5.1.3
    flipHorizontally: (regionWidth ?? 0) < 0,
    flipVertically: (regionHeight ?? 0) < 0,
  };
}

function qualityOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const quality = Number(text);
  if (!WHOLE.test(text) || quality < 1 || quality > 100) throw invalid('quality', 'must be a whole number from 1 to 100');
  return quality;
}

function annotationWarnings(text: string | undefined): string[] {
  if (text === undefined) return [];
  const unknown = text.split(',').filter((keyword) => !ANNOTATIONS.has(keyword));
  if (unknown.length > 0) throw invalid('annotation', 'must be patient, technique or both');
  return [`The following annotation values are not supported: ${text}`];
}

function profileWarnings(text: string | undefined): string[] {
  if (text === undefined) return [];
  if (!COLOUR_PROFILES.has(text)) throw invalid('iccprofile', 'must be no, yes, srgb, adobergb or rommrgb');
  return text === 'no' ? [] : ['No colour profile is embedded'];
}

function invalid(name: string, detail: string): AppError {
  return new AppError('invalid-query', { errors: [{ pointer: `/${name}`, detail }] });
}
