import { AppError } from '../../../kernel/errors.js';
import { number, sequence, strings, text } from '../attributes.js';
import type { DicomJson } from '../dicom-json.js';
import type { ParsedInstance } from '../header.js';
import { describePixels, is422 } from '../pixel-description.js';
import { pixelCodingOf } from '../transfer-syntax.js';
import type { BlackOut } from './black-out.js';
import { burnedInRectangles, type Rectangle } from './burned-in-templates.js';
import type { ObjectKind } from './object-kinds.js';
import { Refusal } from './refusal.js';

/** What becomes of the pixels. */
export type PixelPlan =
  | { kind: 'none' }
  | { kind: 'copy' }
  /** Black in place, in the bytes as they are. */
  | { kind: 'paint'; area: BlackOut }
  /** Decoded, blacked out, written natively. */
  | { kind: 'decode'; area: BlackOut };

/** Values of Image Type by which workstations and scanners mark pictures of screens. */
const SCREEN = /^(SCREEN SAVE|SCREEN ?CAPTURE|SCREEN|SCREENSHOT|SNAPSHOT|REPORT|REPORTDATA|DOSE|DOSE_INFO|DEMOGRAPHICDATA|INVALID|VXTL STATE|CT_SOM\d PROT|PROT|PROTOCOL|CSAPARALLEL)$/;
/** Film, paper, drawings, video signals, whatever a workstation had on show. @see PS3.3 C.8.6.1 */
const CONVERSIONS = new Set(['DV', 'DF', 'SD', 'SI', 'DRW', 'SYN', 'WSD']);
/** Regions that reach over nearly the whole image leave the banner in it. */
const WHOLE_IMAGE = 0.98;
const NOTHING: BlackOut = { black: [] };

/**
 * Decides what happens to the pixels. With Clean Pixel Data: what an image of this kind may show is blacked out by its regions
 * or a template; where nothing tells what it shows, the instance is refused. Without it the pixels are copied, except where
 * the image itself declares annotations that no template knows.
 *
 * @throws Refusal; AppError of describePixels
 * @see PS3.15 E.3.1
 */
export function pixelPlanOf(parsed: ParsedInstance, kind: ObjectKind, cleans: boolean): PixelPlan {
  const { attributes, pixelData } = parsed;
  if (pixelData === null) return { kind: 'none' };
  if (pixelCodingOf(parsed.meta.transferSyntaxUid) === undefined) throw new Refusal('pixel-cleaning-unsupported');
  const declared = text(attributes, 'BurnedInAnnotation')?.trim().toUpperCase();
  // Overlays in the unused bits of the pixels: removed with the groups that describe them.
  const overlaid = hasOverlayInPixels(attributes);
  if (!cleans && declared !== 'YES') return overlaid ? { kind: 'decode', area: NOTHING } : { kind: 'copy' };
  const area = areaOf(parsed, kind, declared);
  if (area === undefined) return overlaid ? { kind: 'decode', area: NOTHING } : { kind: 'copy' };
  return { kind: !overlaid && isPaintable(parsed) ? 'paint' : 'decode', area };
}

/** Undefined: nothing is to be blacked out. */
function areaOf(parsed: ParsedInstance, kind: ObjectKind, declared: string | undefined): BlackOut | undefined {
  const { attributes } = parsed;
  if (kind === 'data') return undefined;
  const template = burnedInRectangles({
    modality: text(attributes, 'Modality')?.trim() ?? '',
    manufacturer: text(attributes, 'Manufacturer') ?? '',
    model: text(attributes, 'ManufacturerModelName') ?? '',
    seriesDescription: text(attributes, 'SeriesDescription') ?? '',
    imageType: strings(attributes, 'ImageType').join('\\'),
    rows: number(attributes, 'Rows') ?? 0,
    columns: number(attributes, 'Columns') ?? 0,
  });
  if (kind === 'ultrasound') {
    const regions = ultrasoundRegions(attributes);
    // Whatever the device declares: its banner is outside of the ultrasound.
    if (regions !== undefined) return { keep: regions, black: template ?? [] };
    if (template !== undefined) return { black: template };
    throw new Refusal('ultrasound-without-regions');
  }
  if (template !== undefined) return { black: template };
  if (declared === 'YES') throw new Refusal('burned-in-annotation');
  if (kind === 'whole-slide') {
    // Photographs of the whole slide show its label.
    if (strings(attributes, 'ImageType').some((value) => /^(LABEL|OVERVIEW|LOCALIZER)$/i.test(value.trim()))) throw new Refusal('whole-slide-label');
    return undefined;
  }
  if (declared === 'NO') return undefined;
  if (kind === 'visible-light') throw new Refusal('visible-light');
  if (kind === 'capture' || isCapture(attributes)) throw new Refusal('screen-capture');
  return undefined;
}

function isCapture(attributes: DicomJson): boolean {
  if (strings(attributes, 'ImageType').some((value) => SCREEN.test(value.trim().toUpperCase()))) return true;
  return CONVERSIONS.has(text(attributes, 'ConversionType')?.trim().toUpperCase() ?? '');
}

/** Undefined where there are none, or where they leave no room for a banner. @see PS3.3 C.8.5.5.1 */
function ultrasoundRegions(attributes: DicomJson): Rectangle[] | undefined {
  const rows = number(attributes, 'Rows') ?? 0;
  const columns = number(attributes, 'Columns') ?? 0;
  const regions: Rectangle[] = [];
  for (const region of sequence(attributes, 'SequenceOfUltrasoundRegions')) {
    const [x0, y0, x1, y1] = ['RegionLocationMinX0', 'RegionLocationMinY0', 'RegionLocationMaxX1', 'RegionLocationMaxY1'].map((keyword) => number(region, keyword));
    if (x0 === undefined || y0 === undefined || x1 === undefined || y1 === undefined) return undefined;
    const [right, bottom] = [Math.min(x1 + 1, columns), Math.min(y1 + 1, rows)];
    if (x0 < 0 || y0 < 0 || right <= x0 || bottom <= y0) return undefined;
    if ((right - x0) * (bottom - y0) >= WHOLE_IMAGE * rows * columns) return undefined;
    regions.push({ x: x0, y: y0, width: right - x0, height: bottom - y0 });
  }
  return regions.length === 0 ? undefined : regions;
}

/** @see PS3.5 §8.1.2 */
function hasOverlayInPixels(attributes: DicomJson): boolean {
  return Object.keys(attributes).some((tag) => /^60..0102$/.test(tag) && (number(attributes, tag) ?? 0) > 0 && attributes[`${tag.slice(0, 4)}3000`] === undefined);
}

/** Samples that lie where the description says, whole bytes each. */
function isPaintable(parsed: ParsedInstance): boolean {
  if (parsed.pixelData?.encoding !== 'native') return false;
  const description = describePixels(parsed);
  if (description.bitsAllocated === 1) throw new Refusal('pixel-cleaning-unsupported');
  if (description.kind !== 'integer') throw new Refusal('pixel-cleaning-unsupported');
  const bytes = (description.rows * description.columns * description.samplesPerPixel * description.bitsAllocated * description.numberOfFrames) / 8;
  const subsampled = is422(parsed, description);
  if (!subsampled && parsed.pixelData.length < bytes) throw new AppError('invalid-pixel-data', { detail: 'The pixel data are shorter than their description' });
  return !subsampled && parsed.encoding.littleEndian;
}
