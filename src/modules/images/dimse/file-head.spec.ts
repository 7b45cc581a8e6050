import { describe, expect, it } from 'vitest';
import { dicomFile } from '../../../../test/support/dicom-builder.js';
import { parseInstanceBytes } from '../../../imaging/dicom/header.js';
import { fileHead } from './file-head.js';

describe('The head of a file', () => {
  it('says what the data set does not, with even lengths and a group length that is right', () => {
    for (const [sopInstanceUid, title] of [['1.2.3.4', 'CT_1'], ['1.2.3.45', 'MODALITY_ROOM_17'], ['1.2.3.456', 'A']] as const) {
      const head = fileHead({ sopClassUid: '1.2.840.10008.5.1.4.1.1.7', sopInstanceUid, transferSyntaxUid: '1.2.840.10008.1.2', sourceApplicationEntityTitle: title });
      expect(head.subarray(128, 132).toString()).toBe('DICM');
      expect(head.readUInt32LE(140)).toBe(head.length - 144);
      expect(head.length % 2).toBe(0);
      expect(parseInstanceBytes(Buffer.concat([head, dicomFile([], { bare: true, transferSyntax: '1.2.840.10008.1.2' })])).meta).toEqual({
        transferSyntaxUid: '1.2.840.10008.1.2', mediaStorageSopClassUid: '1.2.840.10008.5.1.4.1.1.7', mediaStorageSopInstanceUid: sopInstanceUid,
        implementationClassUid: '2.25.79516009368418279361988253162248230491', implementationVersionName: 'HEALTHVISION', sourceApplicationEntityTitle: title,
      });
    }
  });
});
