import { describe, expect, it } from 'vitest';
import { cleanDescriptor } from './descriptors.js';
import { identifyingValues } from './identifying-values.js';

const identifying = identifyingValues({
  '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Lung^Chest Bo', Ideographic: '王^心东' }] },
  '00100020': { vr: 'LO', Value: ['PAT-4711'] },
  '00081070': { vr: 'PN', Value: [{ Alphabetic: 'MRI Tech' }] },
});
const nobody = identifyingValues({});

describe('cleanDescriptor', () => {
  it.each([
    ['CT Abdomen/Pelvis W/O 5.0mm B30f', 'CT Abdomen Pelvis W/O 5.0mm B30f'],
    ['t1_mprage_sag_p2_iso 1mm', 't1 mprage sag iso 1mm'],
    ['T2* axial 3D 256x256', 'T2* axial 3D 256x256'],
    ['MR KNEE LEFT Dr. Smith 2nd floor', 'MR KNEE LEFT'],
    ['Chest AP  (portable), J. Doe, DOB 2/1/50', 'Chest AP portable'],
    ['MRN 123456 LSPINE', 'LSPINE'],
    ['DTI b1000', 'DTI b1000'],
    ['C-SPINE L4-L5 12 1950', 'C SPINE L4 L5'],
    ['胸部平扫+增强 张三', '胸部平扫 增强'],
    ['Übersicht', ''],
    ['', ''],
  ])('of %j keeps %j', (text, kept) => {
    expect(cleanDescriptor(text, nobody)).toBe(kept);
  });

  it('drops technical words that are somebody’s name here', () => {
    expect(cleanDescriptor('CT Lung chest axial', identifying)).toBe('CT axial');
    expect(cleanDescriptor('心 心脏平扫', identifying)).toBe('心脏平扫');
    expect(cleanDescriptor('MRI brain', identifying)).toBe('brain');
  });

  it('drops letters altogether', () => {
    expect(cleanDescriptor('chest '.repeat(400), nobody)).toBe('');
  });
});

describe('identifyingValues', () => {
  it('knows names and identifiers in other spellings, and lets other words be', () => {
    const found = identifyingValues({
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Müller-Lüdenscheidt^Zoë' }] },
      '00100020': { vr: 'LO', Value: ['MR-00123456'] },
      '00101040': { vr: 'LO', Value: ['12 Elm Street, Springfield'] },
      '00102154': { vr: 'SH', Value: ['+49 (0)89 123-4567'] },
      '00100030': { vr: 'DA', Value: ['19500102'] },
      '0020000D': { vr: 'UI', Value: ['1.2.3.4.5'] },
    });
    for (const text of ['MULLER', 'x_Ludenscheidt_1', 'zoe', 'ZOË1950', 'id123456x', 'mr00123456', 'lives in springfield', '12 ELM STREET', '490891234567', '1950/01/02', 'see 1.2.3.4.5']) expect(found.areIn(text), text).toBe(true);
    for (const text of ['', 'CT', 'Zoetermeer', 'mule', '1.2.3.4', '1951-01-02', 'Siemens Healthineers', 'B30f']) expect(found.areIn(text), text).toBe(false);
  });
});
