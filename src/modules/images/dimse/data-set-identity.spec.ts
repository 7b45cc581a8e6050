import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { concat, dicomFile, encodeDataSet, UIDS, type Element, type FileOptions } from '../../../../test/support/dicom-builder.js';
import { sourceOf } from '../byte-source.js';
import { IdentityMismatch, verified } from './data-set-identity.js';

const CLAIM = { sopClassUid: '1.2.840.10008.5.1.4.1.1.7', sopInstanceUid: '1.2.3.4' };
const EXPLICIT = '1.2.840.10008.1.2.1';

async function passed(bytes: Uint8Array, transferSyntaxUid: string, claim = CLAIM): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of verified(sourceOf(bytes), transferSyntaxUid, claim)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const dataSet = (elements: readonly Element[], options: FileOptions = {}): Uint8Array => dicomFile(elements, { bare: true, ...options });

describe('A data set', () => {
  const forms: [string, FileOptions][] = [
    [EXPLICIT, {}],
    ['1.2.840.10008.1.2', { transferSyntax: '1.2.840.10008.1.2' }],
    ['1.2.840.10008.1.2.2', { transferSyntax: '1.2.840.10008.1.2.2' }],
    ['1.2.840.10008.1.2.1.99', { transform: (bytes) => deflateRawSync(bytes) }],
    // Negotiated one form, sent the other.
    ['1.2.840.10008.1.2', {}],
    [EXPLICIT, { transferSyntax: '1.2.840.10008.1.2' }],
  ];

  it('passes byte by byte when it is what the command says, in every encoding', async () => {
    for (const [transferSyntaxUid, options] of forms) {
      const bytes = dataSet([[0x00080008, 'CS', 'ORIGINAL\\PRIMARY'], [0x7fe00010, 'OB', new Uint8Array(300_000)]], options);
      expect((await passed(bytes, transferSyntaxUid)).equals(bytes)).toBe(true);
    }
  });

  it('is held back when it is another instance or of another class', async () => {
    for (const [transferSyntaxUid, options] of forms) {
      await expect(passed(dataSet([], options), transferSyntaxUid, { ...CLAIM, sopInstanceUid: '1.2.3.5' }), transferSyntaxUid).rejects.toThrow(IdentityMismatch);
      await expect(passed(dataSet([], options), transferSyntaxUid, { ...CLAIM, sopClassUid: '1.2.3.5' }), transferSyntaxUid).rejects.toThrow(IdentityMismatch);
    }
  });

  it('is read as far as needed when long values come first, and no farther', async () => {
    const long = (bytes: number): Uint8Array => dataSet([[0x00080015, 'UN', new Uint8Array(bytes)]]);
    expect((await passed(long(50_000), EXPLICIT)).length).toBeGreaterThan(50_000);
    await expect(passed(long(50_000), EXPLICIT, { ...CLAIM, sopInstanceUid: '1.2' })).rejects.toThrow(IdentityMismatch);
    await expect(passed(long(200_000), EXPLICIT)).rejects.toMatchObject({ code: 'invalid-dicom' });
  });

  it('passes when it cannot be read: the ingest knows better what is wrong', async () => {
    const brokenSequence = dataSet([[0x00080006, 'SQ', new Uint8Array(20)]]);
    for (const bytes of [new Uint8Array(0), new Uint8Array(5), dataSet([]).subarray(0, 30), brokenSequence]) {
      expect((await passed(bytes, EXPLICIT)).equals(bytes)).toBe(true);
      expect((await passed(bytes, '1.2.840.10008.1.2.1.99')).equals(bytes)).toBe(true);
    }
  });

  it('is held back when its UIDs are missing or behind their place', async () => {
    await expect(passed(Buffer.from('neither here nor there'), EXPLICIT)).rejects.toMatchObject({ code: 'invalid-dicom' });
    const [sopClass, sopInstance, ...rest] = UIDS.map((element) => encodeDataSet([element], { explicit: true, littleEndian: true }));
    await expect(passed(concat([sopInstance, ...rest].map((part) => part ?? new Uint8Array(0))), EXPLICIT)).rejects.toMatchObject({ code: 'missing-sop-class' });
    await expect(passed(concat([sopClass, ...rest, sopInstance].map((part) => part ?? new Uint8Array(0))), EXPLICIT)).rejects.toMatchObject({ code: 'missing-uid' });
  });
});
