/** @see PS3.6 Annex A */
export const IMPLICIT_LITTLE = '1.2.840.10008.1.2';
export const EXPLICIT_LITTLE = '1.2.840.10008.1.2.1';
export const DEFLATED_EXPLICIT_LITTLE = '1.2.840.10008.1.2.1.99';
export const EXPLICIT_BIG = '1.2.840.10008.1.2.2';
export const RLE_LOSSLESS = '1.2.840.10008.1.2.5';

export type PixelCoding = 'native' | 'rle' | 'jpeg' | 'jpeg-ls' | 'jpeg-2000' | 'htj2k';

const CODINGS: Record<string, PixelCoding> = {
  [IMPLICIT_LITTLE]: 'native',
  [EXPLICIT_LITTLE]: 'native',
  [DEFLATED_EXPLICIT_LITTLE]: 'native',
  [EXPLICIT_BIG]: 'native',
  [RLE_LOSSLESS]: 'rle',
  '1.2.840.10008.1.2.4.50': 'jpeg',
  '1.2.840.10008.1.2.4.51': 'jpeg',
  '1.2.840.10008.1.2.4.57': 'jpeg',
  '1.2.840.10008.1.2.4.70': 'jpeg',
  '1.2.840.10008.1.2.4.80': 'jpeg-ls',
  '1.2.840.10008.1.2.4.81': 'jpeg-ls',
  '1.2.840.10008.1.2.4.90': 'jpeg-2000',
  '1.2.840.10008.1.2.4.91': 'jpeg-2000',
  '1.2.840.10008.1.2.4.201': 'htj2k',
  '1.2.840.10008.1.2.4.202': 'htj2k',
  '1.2.840.10008.1.2.4.203': 'htj2k',
};

/** How the pixels of a transfer syntax are coded; undefined for one that the product does not read. */
export function pixelCodingOf(transferSyntaxUid: string): PixelCoding | undefined {
  return Object.hasOwn(CODINGS, transferSyntaxUid) ? CODINGS[transferSyntaxUid] : undefined;
}

/** Every transfer syntax whose pixels can be decoded. */
export const DECODABLE_TRANSFER_SYNTAXES: readonly string[] = Object.keys(CODINGS);
