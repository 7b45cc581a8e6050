import { ENCODABLE_TRANSFER_SYNTAXES } from '../../../imaging/dicom/transcode-frame.js';
import { EXPLICIT_LITTLE, IMPLICIT_LITTLE, pixelCodingOf } from '../../../imaging/dicom/transfer-syntax.js';
import { allows, covers, type Acceptance, type MediaRange } from './media-types.js';

export const DICOM = 'application/dicom';
export const OCTET_STREAM = 'application/octet-stream';

export type Packaging = 'single' | 'multipart';

/** Instances as a client wants them. */
export interface InstancesSelection {
  kind: 'instances';
  packaging: Packaging;
  /** Transfer syntaxes, best first; `*` stands for all. Those of one rank are as good as each other. */
  ranks: readonly (readonly string[])[];
}

/** As for the bulk data resource. */
export interface BulkSelection {
  kind: 'bulk-data';
}

/**
 * The representation of a study, a series or an instance.
 *
 * @param several  the resource has a part for each instance, so that none can stand alone
 * @returns undefined when nothing acceptable can be made
 * @see PS3.18 §8.7.3.5, §10.4.4
 */
export function selectInstances(acceptance: Acceptance, several: boolean): InstancesSelection | BulkSelection | undefined {
  const isBulk = (range: MediaRange): boolean => range.packaging === 'multipart' && range.type === OCTET_STREAM;
  const isDicom = (range: MediaRange): boolean => covers(range, DICOM) && (allows(range, 'multipart') || !several);
  const first = acceptance.flat().find((range) => isDicom(range) || isBulk(range));
  if (first === undefined) return undefined;
  if (!isDicom(first)) return { kind: 'bulk-data' };
  const packaging: Packaging = allows(first, 'multipart') ? 'multipart' : 'single';
  const ranks = acceptance.map((rank) => rank.filter((range) => isDicom(range) && allows(range, packaging)).map(({ transferSyntax }) => transferSyntax ?? EXPLICIT_LITTLE));
  return { kind: 'instances', packaging, ranks: ranks.filter((rank) => rank.length > 0) };
}

/** What is known of a stored object before it is opened. */
export interface StoredSyntax {
  transferSyntaxUid: string;
  /** The data set is written as the transfer syntax says. */
  isSound: boolean;
  hasPixels: boolean;
}

/**
 * The transfer syntax to send an instance in. The stored one where it is acceptable: then the bytes are sent as they came.
 *
 * @returns undefined when the instance cannot be brought into any of them
 */
export function chooseSyntax(stored: StoredSyntax, ranks: InstancesSelection['ranks']): { transferSyntaxUid: string; asStored: boolean } | undefined {
  const { transferSyntaxUid } = stored;
  for (const rank of ranks) {
    const wanted = rank.includes(transferSyntaxUid);
    // A data set that is not in the syntax it names can only be sent so to those who take anything, or nothing else.
    if (rank.includes('*') || (wanted && (stored.isSound || transferSyntaxUid !== EXPLICIT_LITTLE))) return { transferSyntaxUid, asStored: true };
    const target = rank.find((syntax) => canBeMade(syntax, stored));
    if (target !== undefined) return { transferSyntaxUid: target, asStored: false };
  }
  return undefined;
}

function canBeMade(syntax: string, { transferSyntaxUid, hasPixels }: StoredSyntax): boolean {
  const readable = !hasPixels || pixelCodingOf(transferSyntaxUid) !== undefined;
  return readable && (syntax === EXPLICIT_LITTLE || (hasPixels && ENCODABLE_TRANSFER_SYNTAXES.has(syntax)));
}

/** Media types of compressed frames; the first transfer syntax of each is its default. @see PS3.18 table 8.7.3-5 */
const COMPRESSED: Record<string, readonly string[]> = {
  'image/jpeg': ['1.2.840.10008.1.2.4.70', '1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.51', '1.2.840.10008.1.2.4.57'],
  'image/dicom-rle': ['1.2.840.10008.1.2.5'],
  'image/jls': ['1.2.840.10008.1.2.4.80', '1.2.840.10008.1.2.4.81'],
  'image/jp2': ['1.2.840.10008.1.2.4.90', '1.2.840.10008.1.2.4.91'],
  'image/jphc': ['1.2.840.10008.1.2.4.201', '1.2.840.10008.1.2.4.202', '1.2.840.10008.1.2.4.203'],
};
/** As editions before 2019 and many clients write them. */
const FORMER_NAMES: Record<string, string> = { 'image/x-dicom-rle': 'image/dicom-rle', 'image/x-jls': 'image/jls' };

/** Frames or pixel data as a client wants them. */
export interface PixelSelection {
  packaging: Packaging;
  /** As the client named it. */
  mediaType: string;
  /** Explicit little endian for uncompressed frames. */
  transferSyntaxUid: string;
  asStored: boolean;
}

/**
 * The representation of the frames of one instance.
 *
 * @param storedSyntax  transfer syntax that the instance is stored in
 * @param usual  packaging for clients that leave it open
 * @param several  more than one frame, which takes a part each
 * @returns undefined when nothing acceptable can be made
 */
export function selectPixels(acceptance: Acceptance, storedSyntax: string, { several, usual }: { several: boolean; usual: Packaging }): PixelSelection | undefined {
  for (const rank of acceptance) {
    const offers = rank.map((range) => pixelOffer(range, storedSyntax, usual)).filter((offer) => offer !== undefined && !(several && offer.packaging === 'single'));
    const best = offers.find((offer) => offer?.asStored === true) ?? offers[0];
    if (best !== undefined) return best;
  }
  return undefined;
}

function pixelOffer(range: MediaRange, storedSyntax: string, usual: Packaging): PixelSelection | undefined {
  const packaging = range.packaging === 'either' ? usual : range.packaging;
  const offer = (mediaType: string, transferSyntaxUid: string): PixelSelection | undefined => {
    const native = transferSyntaxUid === EXPLICIT_LITTLE;
    const asStored = native ? pixelCodingOf(storedSyntax) === 'native' : transferSyntaxUid === storedSyntax;
    return asStored || native || ENCODABLE_TRANSFER_SYNTAXES.has(transferSyntaxUid) ? { packaging, mediaType, transferSyntaxUid, asStored } : undefined;
  };
  const storedName = mediaTypeOf(storedSyntax);
  const wanted = range.transferSyntax;
  if (covers(range, OCTET_STREAM)) {
    if (wanted === '*' && storedName !== undefined) return offer(OCTET_STREAM, storedSyntax);
    return offer(OCTET_STREAM, wanted === undefined || wanted === '*' || wanted === IMPLICIT_LITTLE ? EXPLICIT_LITTLE : wanted);
  }
  if (range.type === 'image/*') {
    const syntax = wanted === undefined || wanted === '*' ? (storedName === undefined ? COMPRESSED['image/jpeg']?.[0] : storedSyntax) : wanted;
    const name = syntax === undefined ? undefined : mediaTypeOf(syntax);
    return syntax === undefined || name === undefined ? undefined : offer(name, syntax);
  }
  const syntaxes = COMPRESSED[FORMER_NAMES[range.type] ?? range.type];
  if (syntaxes === undefined) return undefined;
  // A stored image of this type is what a client most likely means, even where the standard has another default.
  const syntax = wanted === undefined || wanted === '*' ? (syntaxes.includes(storedSyntax) ? storedSyntax : syntaxes[0]) : wanted;
  return syntax === undefined || !syntaxes.includes(syntax) ? undefined : offer(range.type, syntax);
}

/** The media type of frames in a compressed transfer syntax; undefined for others. */
export function mediaTypeOf(transferSyntaxUid: string): string | undefined {
  return Object.entries(COMPRESSED).find(([, syntaxes]) => syntaxes.includes(transferSyntaxUid))?.[0];
}

/** The packaging of a value that has a media type of its own; undefined when it is not acceptable. */
export function selectValue(acceptance: Acceptance, mediaTypes: readonly string[]): { packaging: Packaging; mediaType: string } | undefined {
  for (const range of acceptance.flat()) {
    const mediaType = mediaTypes.find((type) => covers(range, type));
    if (mediaType !== undefined) return { packaging: range.packaging === 'multipart' ? 'multipart' : 'single', mediaType };
  }
  return undefined;
}

/** @see PS3.18 §10.4.4: JSON is never multipart */
export function selectMetadata(acceptance: Acceptance): 'application/dicom+json' | 'application/json' | undefined {
  for (const range of acceptance.flat()) {
    const mediaType = (['application/dicom+json', 'application/json'] as const).find((type) => covers(range, type));
    if (mediaType !== undefined && allows(range, 'single')) return mediaType;
  }
  return undefined;
}

export interface RenderedSelection {
  packaging: Packaging;
  format: 'jpeg' | 'png';
}

/** @param several  more than one image, which takes a part each @see PS3.18 table 8.7.4-1 */
export function selectRendered(acceptance: Acceptance, several: boolean): RenderedSelection | undefined {
  for (const range of acceptance.flat()) {
    const format = (['jpeg', 'png'] as const).find((name) => covers(range, `image/${name}`));
    if (format === undefined || (several && !allows(range, 'multipart'))) continue;
    return { packaging: several || range.packaging === 'multipart' ? 'multipart' : 'single', format };
  }
  return undefined;
}
