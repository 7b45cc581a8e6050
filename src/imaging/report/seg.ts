import { derivedDicomUid } from '../../kernel/uid.js';
import type { Segmentation } from '../analyses/analysis.js';
import { text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { SEGMENT_COLOURS } from '../render/segments.js';
import { dataSetOf, part10File, type Fields } from './data-set.js';
import type { DerivedObject, DerivedSource, SourceInstance } from './derived.js';
import { derivedHeader, derivedSeriesNumber, MANUFACTURER } from './derived-header.js';
import { descriptionText } from './element-text.js';
import { anatomicRegion, ARTIFICIAL_INTELLIGENCE, typeByName } from './seg/codes.js';
import { dicomLab } from './seg/colours.js';
import { extentsOf } from './seg/extents.js';
import { framesOf, packedBits, packedLabels, type SegFrame } from './seg/frames.js';
import { functionalGroups } from './seg/functional-groups.js';
import { planesOf, type Plane } from './seg/planes.js';
import { dicomSegmentsOf, segmentsOverlap, type DicomSegment } from './seg/segments.js';
import { conceptOf, VALUES, type Concept } from './sr/concepts.js';
import { codeItem } from './sr/content.js';
import { trackingUidOf } from './tracking.js';

export const SEGMENTATION_STORAGE = '1.2.840.10008.5.1.4.1.1.66.4';
export const LABEL_MAP_SEGMENTATION_STORAGE = '1.2.840.10008.5.1.4.1.1.66.7';

export interface SegOptions {
  /** Frames of every slice, also of those that a segment is not in, for readers that want them. */
  keepEmptyFrames?: boolean;
  /** One byte a pixel in place of one bit a segment, where no two segments overlap; overlapping ones are written as bits all the same. */
  labelMap?: boolean;
}

interface Making {
  source: DerivedSource;
  segmentation: Segmentation;
  segments: readonly DicomSegment[];
  planes: readonly Plane[];
  frames: readonly SegFrame[];
  isLabelMap: boolean;
  /** Of the first image that was segmented. */
  attributes: DicomJson;
}

/**
 * The Segmentation of a result. The same result and version always give the same bytes. What is missing of the source instances is left
 * out, for `checkSeg` to find. For a thread: a mask of 512 × 512 × 300 takes some 0.5 s.
 *
 * @returns null when nothing was segmented or no segment has a mask
 * @throws AppError `image-too-large` when it would have more frames or pixels than are read back
 * @see PS3.3 A.51, C.8.20.2
 */
export function writeSeg(source: DerivedSource, { keepEmptyFrames = false, labelMap = false }: SegOptions = {}): DerivedObject | null {
  const { segmentation, resultId, version } = source;
  if (segmentation === null) return null;
  const extents = extentsOf(segmentation.labels, segmentation.grid.size);
  const segments = dicomSegmentsOf(source, extents);
  if (segments.length === 0) return null;
  const isLabelMap = labelMap && !segmentsOverlap(segments) && segments.length <= 255;
  const frames = framesOf(segmentation, segments, extents, { keepEmptyFrames, isLabelMap });
  const planes = planesOf({ segmentation, instances: source.instances });
  const attributes = (planes.find((plane) => plane.source)?.source?.instance ?? source.instances[0])?.attributes ?? {};
  const object = {
    kind: 'seg' as const,
    sopClassUid: isLabelMap ? LABEL_MAP_SEGMENTATION_STORAGE : SEGMENTATION_STORAGE,
    seriesInstanceUid: derivedDicomUid(`${resultId} seg series ${String(version)}`),
    sopInstanceUid: derivedDicomUid(`${resultId} seg ${isLabelMap ? 'label map ' : ''}${String(version)}`),
  };
  const dataSet = dataSetFor({ source, segmentation, segments, planes, frames, isLabelMap, attributes }, object);
  const [columns, rows] = segmentation.grid.size;
  const pixels = (isLabelMap ? packedLabels : packedBits)(segmentation.labels, columns, rows, frames);
  return { ...object, bytes: part10File(dataSet, object, pixels) };
}

function dataSetFor(making: Making, object: Omit<DerivedObject, 'bytes'>): DicomJson {
  const { source, segmentation, planes, attributes, segments, frames, isLabelMap } = making;
  const frameOfReferenceUid = segmentation.grid.frameOfReferenceUid ?? text(attributes, 'FrameOfReferenceUID');
  return {
    ...derivedHeader(source, object),
    ...dataSetOf({
      Modality: 'SEG',
      SeriesNumber: derivedSeriesNumber(attributes, source.version),
      SeriesDescription: descriptionText(`${titleOf(source.analysis)} (AI segmentation)`),
      BodyPartExamined: codeString(text(attributes, 'BodyPartExamined')),
      ...(frameOfReferenceUid !== undefined && { FrameOfReferenceUID: frameOfReferenceUid, PositionReferenceIndicator: text(attributes, 'PositionReferenceIndicator') ?? '' }),
      ImageType: ['DERIVED', 'PRIMARY'],
      InstanceNumber: 1,
      ContentLabel: titleOf(source.analysis).toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_').slice(0, 16),
      ContentDescription: descriptionText(`${titleOf(source.analysis)} found by ${source.provenance.model.name}`),
      ContentCreatorName: 'HealthVision^AI',
      BurnedInAnnotation: 'NO',
      ...lossy(planes.flatMap((plane) => (plane.source ? [plane.source.instance] : []))),
      ...imagePixel(segmentation, isLabelMap),
      SegmentationType: isLabelMap ? 'LABELMAP' : 'BINARY',
      ...(isLabelMap ? {} : { SegmentsOverlap: segmentsOverlap(segments) ? 'YES' : 'NO' }),
      NumberOfFrames: frames.length,
      SegmentSequence: segments.map((segment) => segmentItem(segment, source)),
      ReferencedSeriesSequence: referencedSeries(planes),
      ...functionalGroups(making, derivedDicomUid(`${object.sopInstanceUid} dimensions`)),
    }),
  };
}

/** What CS can hold; undefined for what it cannot. */
function codeString(value: string | undefined): string | undefined {
  return value !== undefined && /^[A-Z0-9_ ]{1,16}$/.test(value) ? value : undefined;
}

/** `lung-nodule-detection` → "Lung nodule detection". */
function titleOf(analysis: string): string {
  const words = analysis.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What was compressed with loss before stays marked so. @see PS3.3 C.7.6.1.1.5 */
function lossy(instances: readonly SourceInstance[]): Fields {
  const attributes = instances.find((instance) => text(instance.attributes, 'LossyImageCompression') === '01')?.attributes;
  if (attributes === undefined) return { LossyImageCompression: '00' };
  return { LossyImageCompression: '01', LossyImageCompressionRatio: text(attributes, 'LossyImageCompressionRatio'), LossyImageCompressionMethod: text(attributes, 'LossyImageCompressionMethod') };
}

function imagePixel({ grid: { size: [columns, rows] } }: Segmentation, isLabelMap: boolean): Fields {
  const bits = isLabelMap ? 8 : 1;
  return {
    SamplesPerPixel: 1, PhotometricInterpretation: 'MONOCHROME2', Rows: rows, Columns: columns, BitsAllocated: bits, BitsStored: bits, HighBit: bits - 1, PixelRepresentation: 0,
    // What belongs to no segment. PS3.3 C.8.20.2
    ...(isLabelMap && { PixelPaddingValue: 0 }),
  };
}

function segmentItem({ number, segment, finding, trackingKey }: DicomSegment, source: DerivedSource): Fields {
  const { model } = source.provenance;
  const label = descriptionText(segment.name) || `Segment ${String(number)}`;
  return {
    SegmentNumber: number,
    SegmentLabel: label,
    SegmentAlgorithmType: 'AUTOMATIC',
    SegmentAlgorithmName: descriptionText(model.name),
    SegmentationAlgorithmIdentificationSequence: [{
      AlgorithmFamilyCodeSequence: [codeItem(ARTIFICIAL_INTELLIGENCE)],
      AlgorithmName: descriptionText(model.name),
      AlgorithmVersion: descriptionText(model.version),
      AlgorithmSource: MANUFACTURER,
    }],
    SegmentedPropertyCategoryCodeSequence: [codeItem(VALUES.abnormalStructure)],
    SegmentedPropertyTypeCodeSequence: [codeItem(codeOf(segment.name, finding, source))],
    AnatomicRegionSequence: [anatomicRegion(source.analysis, finding)],
    TrackingID: label,
    TrackingUID: trackingUidOf(source.resultId, trackingKey),
    RecommendedDisplayCIELabValue: dicomLab(SEGMENT_COLOURS[(number - 1) % SEGMENT_COLOURS.length] ?? [240, 228, 66]),
  };
}

function codeOf(name: string, finding: DicomSegment['finding'], { labels }: DerivedSource): Concept {
  const code = finding?.code ?? labels.find((label) => label.name === name)?.code;
  return code ? conceptOf(code) : typeByName(name);
}

/** Every image that was segmented, also those that nothing was found in. @see PS3.3 C.12.2 */
function referencedSeries(planes: readonly Plane[]): Fields[] {
  const series = new Map<string, Map<string, SourceInstance>>();
  for (const { source } of planes) {
    if (source === undefined) continue;
    const instances = series.get(source.instance.seriesInstanceUid) ?? new Map<string, SourceInstance>();
    series.set(source.instance.seriesInstanceUid, instances.set(source.instance.sopInstanceUid, source.instance));
  }
  return [...series].map(([seriesInstanceUid, instances]) => ({
    ReferencedInstanceSequence: [...instances.values()].map(({ sopClassUid, sopInstanceUid }) => ({ ReferencedSOPClassUID: sopClassUid, ReferencedSOPInstanceUID: sopInstanceUid })),
    SeriesInstanceUID: seriesInstanceUid,
  }));
}
