import { XMLParser } from 'fast-xml-parser';
import type { Lesion } from '../../imaging/evaluation/froc.js';
import { CommandError } from '../failure.js';

type Point = readonly [x: number, y: number, z: number];

/** What one radiologist has drawn of one thing, on the slices of the scan. */
export interface ReadObject {
  reader: number;
  /** Outlined because of its size of 3 mm or more; everything else has a point alone. */
  isOutlined: boolean;
  outlines: { sopInstanceUid: string; isInclusion: boolean; /** Columns and rows from 0. */ points: (readonly [x: number, y: number])[] }[];
}

export interface LidcReading {
  seriesInstanceUid: string;
  readers: number;
  objects: ReadObject[];
}

/** Where the slices of a scan are: its pixels to LPS millimetres. */
export interface SlicePlace {
  toLps: (column: number, row: number) => Point;
  /** Of a pixel, in mm². */
  pixelMm2: number;
}

/** Of so many of the readers a nodule must have been outlined to count, as LUNA16 has it: 3 of 4. */
const AGREEMENT = 0.75;

const LISTS = new Set(['readingSession', 'unblindedReadNodule', 'nonNodule', 'roi', 'locus', 'edgeMap']);
const PARSER = new XMLParser({ ignoreAttributes: true, parseTagValue: false, removeNSPrefix: true, processEntities: false, isArray: (name) => LISTS.has(name) });

interface Place { xCoord?: string; yCoord?: string }
interface Region { imageSOP_UID?: string; inclusion?: string; edgeMap?: Place[] }
interface Message {
  LidcReadMessage?: {
    ResponseHeader?: { SeriesInstanceUid?: string };
    readingSession?: { unblindedReadNodule?: { characteristics?: unknown; roi?: Region[] }[]; nonNodule?: { imageSOP_UID?: string; locus?: Place[] }[] }[];
  };
}

/**
 * A file of the LIDC-IDRI collection: four radiologists' readings of one scan.
 *
 * @throws CommandError `dataset-invalid`
 * @see Armato et al., "The Lung Image Database Consortium (LIDC) and Image Database Resource Initiative (IDRI)", Medical Physics 38 (2011)
 */
export function readLidc(xml: string, path: string): LidcReading {
  const message = (PARSER.parse(xml) as Message).LidcReadMessage;
  const seriesInstanceUid = message?.ResponseHeader?.SeriesInstanceUid;
  const sessions = message?.readingSession ?? [];
  if (seriesInstanceUid === undefined || sessions.length === 0) throw new CommandError('dataset-invalid', `${path} is no reading of the LIDC-IDRI collection`);
  const objects = sessions.flatMap(({ unblindedReadNodule = [], nonNodule = [] }, reader): ReadObject[] => [
    ...unblindedReadNodule.map(({ characteristics, roi = [] }) => ({ reader, isOutlined: characteristics !== undefined && roi.some(({ edgeMap = [] }) => edgeMap.length > 2), outlines: roi.map(outlineOf) })),
    ...nonNodule.map(({ imageSOP_UID, locus = [] }) => ({ reader, isOutlined: false, outlines: [outlineOf({ ...(imageSOP_UID !== undefined && { imageSOP_UID }), edgeMap: locus })] })),
  ]);
  return { seriesInstanceUid, readers: sessions.length, objects };
}

function outlineOf({ imageSOP_UID = '', inclusion, edgeMap = [] }: Region): ReadObject['outlines'][number] {
  return { sopInstanceUid: imageSOP_UID.trim(), isInclusion: inclusion?.trim().toUpperCase() !== 'FALSE', points: edgeMap.map(({ xCoord, yCoord }) => [Number(xCoord), Number(yCoord)]) };
}

/**
 * One lesion for what several radiologists mean: outlines that lie in each other. Those that three of four have outlined count; nodules that fewer saw or that are smaller
 * than 3 mm, and what was marked as no nodule, are neither right nor wrong to find.
 *
 * @param places  by SOP Instance UID
 * @param sliceMm  distance between slices
 * @throws CommandError `dataset-invalid` where an outline is on none of the slices
 */
export function lesionsOf({ readers, objects, seriesInstanceUid }: LidcReading, places: ReadonlyMap<string, SlicePlace>, sliceMm: number): Lesion[] {
  const bodies = objects.map((object) => ({ ...bodyOf(object, places, sliceMm, seriesInstanceUid), reader: object.reader, isOutlined: object.isOutlined }));
  const groups: (typeof bodies)[] = [];
  for (const body of bodies.filter(({ isOutlined }) => isOutlined)) {
    const group = groups.find((one) => one.some((other) => distance(other.centre, body.centre) <= Math.max(other.diameterMm, body.diameterMm) / 2));
    if (group) group.push(body);
    else groups.push([body]);
  }
  const outlined = groups.map((group): Lesion => ({
    centre: meanOf(group.map(({ centre }) => centre)), diameterMm: group.reduce((sum, { diameterMm }) => sum + diameterMm, 0) / group.length,
    counts: new Set(group.map(({ reader }) => reader)).size >= AGREEMENT * readers,
  }));
  return [...outlined, ...bodies.filter(({ isOutlined }) => !isOutlined).map(({ centre }): Lesion => ({ centre, diameterMm: SMALL_MM, counts: false }))];
}

/** For what has a point and no size: as large as what is outlined at least. */
const SMALL_MM = 3;

/** Centre, and the diameter of the ball with the same volume. */
function bodyOf({ outlines, isOutlined }: ReadObject, places: ReadonlyMap<string, SlicePlace>, sliceMm: number, series: string): { centre: Point; diameterMm: number } {
  let mm3 = 0;
  const sum: [number, number, number] = [0, 0, 0];
  for (const { sopInstanceUid, isInclusion, points } of outlines) {
    const place = places.get(sopInstanceUid);
    if (!place) throw new CommandError('dataset-invalid', `The reading of series ${series} names a slice that is not there`);
    const { area, x, y } = isOutlined ? polygon(points) : { area: 1, x: points[0]?.[0] ?? 0, y: points[0]?.[1] ?? 0 };
    const weight = area * place.pixelMm2 * sliceMm * (isInclusion ? 1 : -1);
    const at = place.toLps(x, y);
    for (const [axis, value] of at.entries()) sum[axis] = (sum[axis] ?? 0) + value * weight;
    mm3 += weight;
  }
  return { centre: [sum[0] / mm3, sum[1] / mm3, sum[2] / mm3], diameterMm: Math.cbrt((6 * mm3) / Math.PI) };
}

/** Area and centre of a closed outline; of a single point or a line, its mean, with the area of a pixel. */
function polygon(points: readonly (readonly [number, number])[]): { area: number; x: number; y: number } {
  let [area, x, y] = [0, 0, 0];
  for (const [i, [x0, y0]] of points.entries()) {
    const [x1, y1] = points[(i + 1) % points.length] ?? [x0, y0];
    const cross = x0 * y1 - x1 * y0;
    area += cross;
    x += (x0 + x1) * cross;
    y += (y0 + y1) * cross;
  }
  if (Math.abs(area) < 1e-9) return { area: 1, x: points.reduce((sum, [at]) => sum + at, 0) / points.length, y: points.reduce((sum, [, at]) => sum + at, 0) / points.length };
  return { area: Math.abs(area) / 2, x: x / (3 * area), y: y / (3 * area) };
}

function meanOf(points: readonly Point[]): Point {
  const mean = (axis: 0 | 1 | 2): number => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  return [mean(0), mean(1), mean(2)];
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}
