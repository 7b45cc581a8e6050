import { describe, expect, it } from 'vitest';
import { EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, RLE_LOSSLESS } from '../../../imaging/dicom/transfer-syntax.js';
import { acceptanceOf } from './media-types.js';
import { chooseSyntax, selectInstances, selectMetadata, selectPixels, selectRendered, selectValue, type StoredSyntax } from './selection.js';

const JPEG_LS = '1.2.840.10008.1.2.4.80';
const JPEG = '1.2.840.10008.1.2.4.50';
const JPEG_2000 = '1.2.840.10008.1.2.4.90';
const MPEG4 = '1.2.840.10008.1.2.4.102';

describe('Accept', () => {
  it('is read with its quotes, parameters and qualities', () => {
    expect(acceptanceOf('text/html;q=0.1, multipart/related; type="application/dicom";transfer-syntax=* , image/*;q=0.5 ,IMAGE/PNG; Q=0.5')).toEqual([
      [{ packaging: 'multipart', type: 'application/dicom', transferSyntax: '*' }],
      [{ packaging: 'single', type: 'image/*', transferSyntax: undefined }, { packaging: 'single', type: 'image/png', transferSyntax: undefined }],
      [{ packaging: 'single', type: 'text/html', transferSyntax: undefined }],
    ]);
    expect(acceptanceOf('multipart/related; type="a/b; x=\\"1,2\\""; boundary=",;"')).toEqual([]);
    expect(acceptanceOf('multipart/related;type=application/octet-stream;transfer-syntax="1.2.840.10008.1.2.4.80"')).toEqual([[{ packaging: 'multipart', type: 'application/octet-stream', transferSyntax: JPEG_LS }]]);
  });

  it('takes everything when it is not there, and nothing when it cannot be read', () => {
    expect(acceptanceOf(undefined)).toEqual(acceptanceOf('*/*'));
    expect(acceptanceOf('nonsense, /, a/b/c, application/dicom;q=2, application/dicom;q=0')).toEqual([]);
  });

  it('comes behind the query parameter', () => {
    expect(acceptanceOf('image/png', 'image/jpeg;q=0.1').flat().map(({ type }) => type)).toEqual(['image/jpeg', 'image/png']);
    expect(acceptanceOf(undefined, 'image/jpeg').flat().map(({ type }) => type)).toEqual(['image/jpeg']);
  });
});

describe('Instances', () => {
  const stored = (transferSyntaxUid: string, more: Partial<StoredSyntax> = {}): StoredSyntax => ({ transferSyntaxUid, isSound: true, hasPixels: true, ...more });
  const chosen = (accept: string | undefined, from: StoredSyntax): unknown => {
    const selection = selectInstances(acceptanceOf(accept), true);
    if (selection?.kind !== 'instances') return selection;
    const choice = chooseSyntax(from, selection.ranks);
    return choice?.asStored === true ? 'as stored' : choice?.transferSyntaxUid;
  };

  it('come in explicit little endian unless the client says otherwise', () => {
    for (const accept of [undefined, '*/*', 'multipart/related; type="application/dicom"', 'multipart/related', 'multipart/related; type="application/*"']) {
      expect(chosen(accept, stored(EXPLICIT_LITTLE))).toBe('as stored');
      expect(chosen(accept, stored(IMPLICIT_LITTLE))).toBe(EXPLICIT_LITTLE);
      expect(chosen(accept, stored(EXPLICIT_BIG))).toBe(EXPLICIT_LITTLE);
      expect(chosen(accept, stored(JPEG_LS))).toBe(EXPLICIT_LITTLE);
    }
  });

  it('come as they are stored to those who take that', () => {
    for (const syntax of [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, JPEG_LS, MPEG4]) {
      expect(chosen('multipart/related; type="application/dicom"; transfer-syntax=*', stored(syntax))).toBe('as stored');
      expect(chosen(`multipart/related; type="application/dicom"; transfer-syntax=${syntax}`, stored(syntax))).toBe('as stored');
    }
    // As good as each other, so nothing is gained by work.
    expect(chosen('multipart/related; type="application/dicom", multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.80', stored(JPEG_LS))).toBe('as stored');
    expect(chosen('multipart/related; type="application/dicom", multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.80;q=0.5', stored(JPEG_LS))).toBe(EXPLICIT_LITTLE);
  });

  it('are compressed without loss where that is asked for, and not otherwise', () => {
    const accept = (syntax: string): string => `multipart/related; type="application/dicom"; transfer-syntax=${syntax}`;
    expect(chosen(accept(JPEG_LS), stored(EXPLICIT_LITTLE))).toBe(JPEG_LS);
    expect(chosen(accept(JPEG_2000), stored(JPEG_LS))).toBe(JPEG_2000);
    expect(chosen(accept(JPEG), stored(EXPLICIT_LITTLE))).toBeUndefined();
    expect(chosen(accept(JPEG_LS), stored(EXPLICIT_LITTLE, { hasPixels: false }))).toBeUndefined();
    expect(chosen(accept(EXPLICIT_LITTLE), stored(MPEG4))).toBeUndefined();
    expect(chosen(accept(EXPLICIT_LITTLE), stored(MPEG4, { hasPixels: false }))).toBe(EXPLICIT_LITTLE);
    expect(chosen(`${accept(JPEG)}, ${accept(RLE_LOSSLESS)};q=0.9`, stored(EXPLICIT_LITTLE))).toBe(RLE_LOSSLESS);
  });

  it('are mended where they are not in the syntax they name', () => {
    expect(chosen(undefined, stored(EXPLICIT_LITTLE, { isSound: false }))).toBe(EXPLICIT_LITTLE);
    expect(chosen('multipart/related; type="application/dicom"; transfer-syntax=*', stored(EXPLICIT_LITTLE, { isSound: false }))).toBe('as stored');
  });

  it('stand alone only when there is one', () => {
    expect(selectInstances(acceptanceOf('application/dicom'), true)).toBeUndefined();
    expect(selectInstances(acceptanceOf('application/dicom; transfer-syntax=*'), false)).toEqual({ kind: 'instances', packaging: 'single', ranks: [['*']] });
    expect(selectInstances(acceptanceOf('*/*'), false)).toMatchObject({ packaging: 'multipart' });
    expect(selectInstances(acceptanceOf('application/json, text/html'), false)).toBeUndefined();
    expect(selectInstances(acceptanceOf('multipart/related; type="application/dicom+xml"'), false)).toBeUndefined();
    expect(selectInstances(acceptanceOf('multipart/related; type="application/octet-stream"'), true)).toEqual({ kind: 'bulk-data' });
  });
});

describe('Frames', () => {
  const select = (accept: string | undefined, syntax: string, several = false): unknown => {
    const found = selectPixels(acceptanceOf(accept), syntax, { several, usual: 'multipart' });
    return found && [found.packaging, found.mediaType, found.transferSyntaxUid, found.asStored];
  };

  it('are uncompressed octets unless the client says otherwise', () => {
    for (const accept of [undefined, '*/*', 'multipart/related; type="application/octet-stream"', 'multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1']) {
      expect(select(accept, EXPLICIT_LITTLE)).toEqual(['multipart', 'application/octet-stream', EXPLICIT_LITTLE, true]);
      expect(select(accept, JPEG_LS)).toEqual(['multipart', 'application/octet-stream', EXPLICIT_LITTLE, false]);
    }
    expect(select('application/octet-stream', JPEG_LS)).toEqual(['single', 'application/octet-stream', EXPLICIT_LITTLE, false]);
    expect(select('application/octet-stream', JPEG_LS, true)).toBeUndefined();
  });

  it('come as they are stored to viewers that take any transfer syntax', () => {
    const accept = 'multipart/related; type=application/octet-stream; transfer-syntax=*';
    expect(select(accept, JPEG_LS)).toEqual(['multipart', 'application/octet-stream', JPEG_LS, true]);
    expect(select(accept, IMPLICIT_LITTLE)).toEqual(['multipart', 'application/octet-stream', EXPLICIT_LITTLE, true]);
  });

  it('come under the media type of their codec', () => {
    expect(select('multipart/related; type="image/jls"', JPEG_LS)).toEqual(['multipart', 'image/jls', JPEG_LS, true]);
    expect(select('image/x-jls', JPEG_LS)).toEqual(['single', 'image/x-jls', JPEG_LS, true]);
    expect(select('image/jpeg', JPEG)).toEqual(['single', 'image/jpeg', JPEG, true]);
    expect(select('image/*', JPEG_2000)).toEqual(['single', 'image/jp2', JPEG_2000, true]);
    expect(select('image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50', JPEG_LS)).toBeUndefined();
    expect(select('image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50', JPEG)).toEqual(['single', 'image/jpeg', JPEG, true]);
    expect(select('image/jls; transfer-syntax=1.2.840.10008.1.2.4.50', JPEG)).toBeUndefined();
    expect(select('image/webp, video/mp4', JPEG)).toBeUndefined();
  });

  it('are compressed without loss where that is asked for', () => {
    expect(select('multipart/related; type="image/jls"', EXPLICIT_LITTLE)).toEqual(['multipart', 'image/jls', JPEG_LS, false]);
    expect(select('image/jpeg', EXPLICIT_LITTLE)).toEqual(['single', 'image/jpeg', '1.2.840.10008.1.2.4.70', false]);
    expect(select('image/jp2, multipart/related; type="application/octet-stream"', EXPLICIT_LITTLE)).toEqual(['multipart', 'application/octet-stream', EXPLICIT_LITTLE, true]);
  });
});

describe('Other representations', () => {
  it('metadata are JSON, never XML', () => {
    expect(selectMetadata(acceptanceOf('application/dicom+json'))).toBe('application/dicom+json');
    expect(selectMetadata(acceptanceOf('application/json'))).toBe('application/json');
    expect(selectMetadata(acceptanceOf('*/*'))).toBe('application/dicom+json');
    expect(selectMetadata(acceptanceOf('text/html, application/*;q=0.1'))).toBe('application/dicom+json');
    expect(selectMetadata(acceptanceOf('multipart/related; type="application/dicom+xml"'))).toBeUndefined();
    expect(selectMetadata(acceptanceOf('application/dicom+xml'))).toBeUndefined();
  });

  it('pictures are JPEG or PNG', () => {
    expect(selectRendered(acceptanceOf(undefined), false)).toEqual({ packaging: 'single', format: 'jpeg' });
    expect(selectRendered(acceptanceOf('image/avif,image/webp,image/apng,image/*,*/*;q=0.8'), false)).toEqual({ packaging: 'single', format: 'jpeg' });
    expect(selectRendered(acceptanceOf('image/gif, image/png'), false)).toEqual({ packaging: 'single', format: 'png' });
    expect(selectRendered(acceptanceOf('image/png'), true)).toBeUndefined();
    expect(selectRendered(acceptanceOf('*/*'), true)).toEqual({ packaging: 'multipart', format: 'jpeg' });
    expect(selectRendered(acceptanceOf('multipart/related; type="image/png"'), false)).toEqual({ packaging: 'multipart', format: 'png' });
    expect(selectRendered(acceptanceOf('video/mp4, image/gif, application/dicom'), false)).toBeUndefined();
  });

  it('values come alone unless a part is asked for', () => {
    expect(selectValue(acceptanceOf('*/*'), ['application/octet-stream'])).toEqual({ packaging: 'single', mediaType: 'application/octet-stream' });
    expect(selectValue(acceptanceOf('multipart/related; type="application/octet-stream"'), ['application/octet-stream'])).toEqual({ packaging: 'multipart', mediaType: 'application/octet-stream' });
    expect(selectValue(acceptanceOf('application/pdf'), ['application/octet-stream', 'application/pdf'])).toEqual({ packaging: 'single', mediaType: 'application/pdf' });
    expect(selectValue(acceptanceOf('image/png'), ['application/octet-stream'])).toBeUndefined();
  });
});
