import { describe, expect, it } from 'vitest';
import { dicomFile, encapsulated, imagePixel } from '../../../../test/support/dicom-builder.js';
import { parseInstanceBytes, type ParsedInstance } from '../../../imaging/dicom/header.js';
import { DescribedImages } from './described-images.js';

const plain = parseInstanceBytes(dicomFile([...imagePixel(1, 1), [0x7fe00010, 'OB', encapsulated([new Uint8Array(2)]), { undefinedLength: true }]], { transferSyntax: '1.2.840.10008.1.2.5' }));

function image(fragments: number): ParsedInstance {
  if (plain.pixelData?.encoding !== 'encapsulated') throw new Error('not encapsulated');
  return { ...plain, pixelData: { ...plain.pixelData, fragments: Array.from({ length: fragments }, () => ({ offset: 0, length: 2, startsImage: false })) } };
}

describe('Described images', () => {
  it('count once, however many requests described them at the same time', () => {
    const described = new DescribedImages();
    const large = image(300_000);
    for (let request = 0; request < 8; request++) described.remember('large', large);
    described.remember('other', image(250_000));
    described.remember('third', image(1));
    expect(described.get('large')).toBe(large);
    expect(described.get('other')).toBeDefined();
  });

  it('make room for others by their fragments, those that were asked for last going last', () => {
    const described = new DescribedImages();
    for (const id of ['a', 'b', 'c']) described.remember(id, image(200_000));
    expect(described.get('a')).toBeDefined();
    described.remember('d', image(200_000));
    expect(['a', 'b', 'c', 'd'].map((id) => described.get(id) !== undefined)).toEqual([true, false, true, true]);
    described.remember('too large', image(600_001));
    expect(described.get('too large')).toBeUndefined();
  });

  it('are not more than some hundreds', () => {
    const described = new DescribedImages();
    for (let at = 0; at <= 512; at++) described.remember(String(at), image(0));
    expect([described.get('0'), described.get('1')?.sopInstanceUid]).toEqual([undefined, plain.sopInstanceUid]);
  });
});
