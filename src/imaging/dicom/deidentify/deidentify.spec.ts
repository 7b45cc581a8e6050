import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concat, dicomFile, imagePixel, withElements, type Element } from '../../../../test/support/dicom-builder.js';
import { personName, sequence, strings, text } from '../attributes.js';
import type { DicomJson } from '../dicom-json.js';
import { parseInstanceBytes } from '../header.js';
import { encodeDataSet } from '../write-data-set.js';
import { deidentify, type DeidentifiedInstance } from './deidentify.js';
import { pseudonymsOf } from './pseudonyms.js';
import { Refusal } from './refusal.js';
import type { DeidentificationOptions } from './treatment.js';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const OPTIONS: DeidentificationOptions = { retainDevice: false, cleanDescriptors: true, longitudinal: 'shift', cleanPixelData: true };
const pseudonyms = pseudonymsOf((text) => createHmac('sha256', 'secret').update(text).digest(), 'Lung Study 7');
const other = pseudonymsOf((text) => createHmac('sha256', 'another secret').update(text).digest(), 'Other');

const BASE: Element[] = [
  [0x00080005, 'CS', 'ISO_IR 100'],
  [0x00080016, 'UI', CT],
  [0x00080018, 'UI', '1.2.3.4.5'],
  [0x00080020, 'DA', '20200229'],
  [0x00080030, 'TM', '101112.5'],
  [0x00080050, 'SH', 'ACC-778899'],
  [0x00080060, 'CS', 'CT'],
  [0x00080070, 'LO', 'ACME'],
  [0x00080080, 'LO', 'St. Mary Hospital'],
  [0x00080090, 'PN', 'Miller^Grace'],
  [0x00081030, 'LO', 'CT CHEST of Mr Doemueller 29.02.2020'],
  [0x00100010, 'PN', 'Doemueller^John Patrick'],
  [0x00100020, 'LO', '00471100'],
  [0x00100030, 'DA', '19500102'],
  [0x00100040, 'CS', 'M'],
  [0x0020000d, 'UI', '1.2.3.4'],
  [0x0020000e, 'UI', '1.2.3.4.1'],
  [0x00200052, 'UI', '1.2.3.4.9'],
];

function run(elements: readonly Element[], options: Partial<DeidentificationOptions> = {}, file = {}): DeidentifiedInstance {
  return deidentify(parseInstanceBytes(dicomFile(withElements(BASE, ...elements), file)), { ...OPTIONS, ...options }, pseudonyms);
}

function refusal(elements: readonly Element[], options: Partial<DeidentificationOptions> = {}, file = {}): string {
  try {
    run(elements, options, file);
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
  return 'exported';
}

/** Everything that is written, as one searchable text. */
function written({ attributes }: DeidentifiedInstance): string {
  return Buffer.concat(encodeDataSet<Uint8Array>(attributes)).toString('utf8');
}

const PHI = ['doemueller', 'patrick', '00471100', '471100', '19500102', 'acc-778899', 'mary', 'miller', 'grace', '20200229'];
function expectClean(instance: DeidentifiedInstance, more: readonly string[] = []): void {
  const text = written(instance).toLowerCase();
  for (const value of [...PHI, ...more]) expect(text, value).not.toContain(value.toLowerCase());
}

describe('deidentify', () => {
  it('leaves nothing of what the data set says of people, places and visits', () => {
    const instance = run([]);
    expectClean(instance);
    const { attributes, patient } = instance;
    expect(patient.id).toMatch(/^Lung-Study-7-[0-9A-HJKMNP-TV-Z]{12}$/);
    expect(text(attributes, 'PatientID')).toBe(patient.id);
    expect(personName(attributes, 'PatientName')).toEqual({ Alphabetic: patient.id });
    for (const keyword of ['PatientBirthDate', 'PatientSex', 'AccessionNumber', 'ReferringPhysicianName']) expect(text(attributes, keyword), keyword).toBeUndefined();
    expect(text(attributes, 'StudyDescription')).toBe('CT CHEST of');
    expect(text(attributes, 'InstitutionName')).toBe('REMOVED');
  });

  it('marks what was done', () => {
    const { attributes } = run([], { retainDevice: true });
    expect(text(attributes, 'PatientIdentityRemoved')).toBe('YES');
    expect(strings(attributes, 'DeidentificationMethod')[0]).toContain('PS3.15');
    expect(sequence(attributes, 'DeidentificationMethodCodeSequence').map((item) => text(item, 'CodeValue'))).toEqual(['113100', '113101', '113105', '113107', '113109']);
    expect(text(attributes, '00280303')).toBe('MODIFIED');
    const bare = run([], { cleanDescriptors: false, longitudinal: 'remove', cleanPixelData: false }).attributes;
    expect(sequence(bare, 'DeidentificationMethodCodeSequence').map((item) => text(item, 'CodeValue'))).toEqual(['113100']);
    expect(text(bare, '00280303')).toBe('REMOVED');
  });

  it('works at every depth, in sequences that a relay wrote as UN too', () => {
    const inner: Element[] = [[0x00100010, 'PN', 'Doemueller^John'], [0x00081050, 'PN', 'Miller^Grace'], [0x00081155, 'UI', '1.2.3.4.5'], [0x00204000, 'LT', 'call Mrs Doemueller'], [0x00111010, 'LO', 'Doemueller']];
    const nested: Element = [0x00081140, 'SQ', [[[0x00081150, 'UI', CT], [0x00081199, 'SQ', [inner, inner]], ...inner.slice(2)]]];
    for (const file of [{}, { transferSyntax: '1.2.840.10008.1.2' }, { transferSyntax: '1.2.840.10008.1.2.2' }]) {
      const instance = run([nested, [0x00081111, 'UN', concat([Buffer.from('feff00e0', 'hex'), Uint8Array.of(24, 0, 0, 0), Buffer.from('08005511', 'hex'), Uint8Array.of(16, 0, 0, 0), Buffer.from('1.2.3.4.77654321')])]], {}, file);
      expectClean(instance);
      const item = sequence(sequence(instance.attributes, '00081140')[0] ?? {}, '00081199')[1] ?? {};
      expect(text(item, 'ReferencedSOPInstanceUID')).toBe(instance.sopInstanceUid);
      expect(text(item, 'PatientName')).toBe(instance.patient.id);
      expect(Object.keys(item).sort()).toEqual(['00081155', '00100010']);
      expect(written(instance)).not.toContain('77654321');
    }
  });

  it('removes everything private, unknown, curves, overlays, signatures and encrypted originals', () => {
    const odd: Element[] = [
      [0x00090010, 'LO', 'GEMS_IDEN_01'], [0x00091001, 'LO', 'Doemueller'], [0x00291010, 'OB', Buffer.from('Doemueller')], [0x00091002, 'SQ', [[[0x00100010, 'PN', 'Doemueller']]]],
      [0x00089999, 'LO', 'what is this'], [0x00104777, 'LO', 'nor this'], [0x00100033, 'LO', 'Heisei 2'], [0x00100022, 'CS', 'TEXT'],
      [0x50000022, 'LO', 'curve'], [0x60000022, 'LO', 'overlay'], [0x60003000, 'OW', [1, 2]], [0x60040022, 'LO', 'second'],
      [0x04000500, 'SQ', [[[0x04000520, 'OB', Buffer.from('secret!!')]]]], [0x00081190, 'UR', 'https://pacs.mary.example/studies/1.2.3.4'], [0x00880200, 'SQ', [[[0x7fe00010, 'OB', [1, 2]]]]],
    ];
    const { attributes, tally } = run(odd);
    for (const [tag] of odd) expect(attributes[tag.toString(16).toUpperCase().padStart(8, '0')], tag.toString(16)).toBeUndefined();
    expect(tally).toMatchObject({ privateRemoved: 4, unknownRemoved: 1 });
  });

  it('finds names and identifiers in the attributes that the profile keeps', () => {
    const instance = run([
      [0x00181020, 'LO', 'Release 5 / Doemueller'], [0x00181210, 'SH', 'B30f'], [0x00185020, 'LO', 'for J. Dömüller'], [0x00180024, 'SH', 'ACC778899'], [0x00180031, 'LO', 'ID 471100'],
      [0x00180034, 'LO', 'born 02.01.1950'], [0x00181040, 'LO', 'on Feb 29, 2020'], [0x00180015, 'CS', 'JOHN'], [0x0018106a, 'CS', 'CT'], [0x00180022, 'CS', 'Mr. J. (Doemueller)'], [0x00181150, 'IS', '00471100'], [0x00181151, 'IS', 'patrick'],
      [0x00280030, 'DS', '0.471100\\0.471100'],
    ]);
    expectClean(instance);
    expect(instance.tally.residualEmptied).toBe(7);
    expect(text(instance.attributes, 'ConvolutionKernel')).toBe('B30f');
    expect(instance.attributes['00280030']?.Value).toEqual([0.4711, 0.4711]);
  });

  it('cleans names written in Chinese in GB18030, wherever they stand', () => {
    const gb = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
    // 王小东 as Wang^XiaoDong=王^小东
    const name = concat([Buffer.from('Wang^XiaoDong='), gb('cdf5'), Buffer.from('^'), gb('d0a1b6ab')]);
    // 王小东胸部平扫
    const description = gb('cdf5d0a1b6abd0d8b2bfc6bdc9a8');
    const instance = run([[0x00080005, 'CS', 'GB18030'], [0x00100010, 'PN', name], [0x00081030, 'LO', description], [0x00181020, 'LO', gb('d0a1b6ab')], [0x00081090, 'LO', 'uCT 780']]);
    expectClean(instance, ['王', '小东', 'xiaodong', 'wang']);
    expect(text(instance.attributes, 'StudyDescription')).toBe('胸部平扫');
    expect(text(instance.attributes, 'ManufacturerModelName')).toBe('uCT 780');
    expect(instance.attributes['00181020']).toEqual({ vr: 'LO' });
  });

  it('keeps UIDs of the standard, replaces all others alike everywhere, and otherwise in another project', () => {
    const elements: Element[] = [[0x00081140, 'SQ', [[[0x00081150, 'UI', CT], [0x00081155, 'UI', '1.2.3.4.5']]]], [0x00200052, 'UI', '1.2.840.10008.1.4.1.1'], [0x00189998, 'UI', '1.2.3'], [0x0008010c, 'UI', '2.16.840.1.113883.6.1'], [0x0040e011, 'UI', '1.2.3.4.1']];
    const instance = run(elements);
    const { attributes } = instance;
    expect(text(attributes, 'FrameOfReferenceUID')).toBe('1.2.840.10008.1.4.1.1');
    expect(text(attributes, 'SOPClassUID')).toBe(CT);
    expect(text(attributes, '0008010C')).toBe('2.16.840.1.113883.6.1');
    expect(text(attributes, 'SOPInstanceUID')).toBe(instance.sopInstanceUid);
    expect(text(sequence(attributes, '00081140')[0] ?? {}, '00081155')).toBe(instance.sopInstanceUid);
    expect(text(attributes, '0040E011')).toBe(instance.seriesInstanceUid);
    expect(instance.studyInstanceUid).toMatch(/^2\.25\.[1-9]\d{30,38}$/);
    expect(run([]).studyInstanceUid).toBe(instance.studyInstanceUid);
    const elsewhere = deidentify(parseInstanceBytes(dicomFile(BASE)), OPTIONS, other);
    expect(elsewhere.studyInstanceUid).not.toBe(instance.studyInstanceUid);
    expect(elsewhere.patient.id).not.toBe(instance.patient.id);
  });

  it('shifts all dates of a patient by the same days and keeps the times', () => {
    const days = (date: string): number => Date.UTC(Number(date.slice(0, 4)), Number(date.slice(4, 6)) - 1, Number(date.slice(6, 8))) / 86_400_000;
    const first = run([[0x0008002a, 'DT', '20200301235959.25+0800'], [0x00181012, 'DA', '2020.02.28']]);
    const second = run([[0x00080020, 'DA', '20210630'], [0x0020000d, 'UI', '1.2.999'], [0x00080018, 'UI', '1.2.998']]);
    const { daysEarlier } = first.patient;
    expect(daysEarlier).toBeGreaterThanOrEqual(30);
    expect(second.patient).toEqual(first.patient);
    expect(days('20200229') - days(text(first.attributes, 'StudyDate') ?? '')).toBe(daysEarlier);
    expect(days('20210630') - days(text(second.attributes, 'StudyDate') ?? '')).toBe(daysEarlier);
    expect(days('20200228') - days(text(first.attributes, '00181012') ?? '')).toBe(daysEarlier);
    expect(text(first.attributes, '0008002A')).toMatch(/^\d{8}235959\.25$/);
    expect(text(first.attributes, 'StudyTime')).toBe('101112.5');
    const stranger = run([[0x00100020, 'LO', 'P2']]);
    expect(stranger.patient).not.toEqual(first.patient);
  });

  it('removes dates where none may stay, and puts dummies where the standard wants a value', () => {
    const { attributes } = run([[0x00080021, 'DA', '20200229'], [0x00080022, 'DA', '20200229'], [0x00080023, 'DA', '20200229'], [0x00181012, 'DA', '20200229'], [0x00080033, 'TM', '1011'], [0x00143076, 'DA', '20200229']], { longitudinal: 'remove' });
    expect(attributes['00080020']).toEqual({ vr: 'DA' });
    expect(attributes['00080021']?.Value).toEqual(['19000101']);
    expect(attributes['00080022']).toEqual({ vr: 'DA' });
    expect(attributes['00080023']?.Value).toEqual(['19000101']);
    expect(attributes['00080033']?.Value).toEqual(['000000']);
    expect(attributes['00181012']).toBeUndefined();
    expect(attributes['00143076']).toBeUndefined();
  });

  it('keeps the device only when it is asked to', () => {
    const device: Element[] = [[0x00081010, 'SH', 'CT2-BASEMENT'], [0x00181000, 'LO', 'SN-42'], [0x00181002, 'UI', '1.2.3.4.42'], [0x00181008, 'LO', 'G1'], [0x00080055, 'AE', 'MARY_CT2'], [0x00181200, 'DA', '20200101']];
    const kept = run(device, { retainDevice: true }).attributes;
    expect([text(kept, 'StationName'), text(kept, 'DeviceSerialNumber'), text(kept, '00181002'), text(kept, 'GantryID')]).toEqual(['CT2-BASEMENT', 'SN-42', '1.2.3.4.42', 'G1']);
    expect(kept['00080055']).toBeUndefined();
    // A real date beside shifted ones would tell by how much they were shifted.
    expect(text(kept, '00181200')).not.toBe('20200101');
    const gone = run(device).attributes;
    expect([text(gone, 'StationName'), text(gone, 'DeviceSerialNumber'), text(gone, 'GantryID')]).toEqual(['REMOVED', 'REMOVED', undefined]);
    expect(text(gone, '00181002')).toMatch(/^2\.25\./);
  });

  it('empties the content of structured reports', () => {
    const report: Element[] = [
      [0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.88.11'], [0x00080060, 'CS', 'SR'], [0x0040a040, 'CS', 'CONTAINER'],
      [0x0040a073, 'SQ', [[[0x0040a027, 'LO', 'St. Mary'], [0x0040a030, 'DT', '20200229101112'], [0x0040a075, 'PN', 'Miller^Grace'], [0x0040a088, 'SQ', [[[0x00080100, 'SH', '4711'], [0x00080102, 'SH', '99MARY'], [0x00080104, 'LO', 'Grace Miller']]]]]]],
      [0x0040a730, 'SQ', [[[0x0040a040, 'CS', 'TEXT'], [0x0040a160, 'UT', 'Mr Doemueller has a nodule']], [[0x0040a040, 'CS', 'PNAME'], [0x0040a123, 'PN', 'Doemueller^John']]]],
    ];
    const instance = run(report);
    expectClean(instance);
    expect(sequence(instance.attributes, 'ContentSequence').map((item) => text(item, 'TextValue'))).toEqual(['REMOVED']);
    const [observer] = sequence(instance.attributes, '0040A073');
    expect([text(observer ?? {}, '0040A027'), text(observer ?? {}, '0040A075')]).toEqual(['REMOVED', 'REMOVED']);
    expect(observer?.['0040A088']).toEqual({ vr: 'SQ' });
  });

  it('keeps codes of public schemes and only the technical words of local ones', () => {
    const codes: Element = [0x00081032, 'SQ', [
      [[0x00080100, 'SH', '24627-2'], [0x00080102, 'SH', 'LN'], [0x00080104, 'LO', 'Chest CT']],
      [[0x00080100, 'SH', 'CTTH'], [0x00080102, 'SH', '99MARY'], [0x00080104, 'LO', 'CT Thorax Dr. Miller']],
      [[0x00080100, 'SH', 'X1'], [0x00080102, 'SH', 'LOCAL'], [0x00080104, 'LO', 'Quux']],
    ]];
    expect(sequence(run([codes]).attributes, '00081032').map((item) => text(item, 'CodeMeaning'))).toEqual(['Chest CT', 'CT Thorax', 'REMOVED']);
    expect(sequence(run([codes], { cleanDescriptors: false }).attributes, '00081032').map((item) => text(item, 'CodeMeaning'))).toEqual(['Chest CT', 'REMOVED', 'REMOVED']);
  });

  it('leaves samples where they lie and drops texts that are too long to be looked into', () => {
    const { attributes, bulk } = run([
      [0x00082111, 'ST', 'Doemueller '.repeat(7000)], [0x00283006, 'OW', new Uint8Array(4000)], [0x00282000, 'OB', new Uint8Array(2000)], [0x00080119, 'UC', 'x'.repeat(70_000)],
      [0x54000100, 'SQ', [[[0x54001004, 'CS', 'SS'], [0x54001010, 'OW', new Uint8Array(5000)]]]], [0x00686300, 'OB', new Uint8Array(3000)],
    ], {}, { transferSyntax: '1.2.840.10008.1.2' });
    expect([...bulk.keys()].sort()).toEqual(['00282000', '00283006', '54000100/0/54001010']);
    expect(attributes['00282000']).toEqual({ vr: 'OB' });
    expect(attributes['00082111']).toBeUndefined();
    expect(attributes['00080119']).toBeUndefined();
  });

  it('refuses what cannot be cleaned, with the reason', () => {
    const ofClass = (behind: string): Element => [0x00080016, 'UI', `1.2.840.10008.5.1.4.1.1.${behind}`];
    const pixels: Element[] = [...imagePixel(2, 2), [0x7fe00010, 'OB', [1, 2, 3, 4]]];
    expect(refusal([ofClass('104.1'), [0x00420011, 'OB', [1, 2]]])).toBe('encapsulated-document');
    expect(refusal([[0x00420011, 'OB', [1, 2]]])).toBe('encapsulated-document');
    expect(refusal([ofClass('9.4.1')])).toBe('audio');
    expect(refusal([ofClass('66')])).toBe('raw-data');
    expect(refusal([ofClass('77.1.1.1'), ...pixels])).toBe('video');
    expect(refusal([[0x00080016, 'UI', '1.3.12.2.1107.5.9.1'], ...pixels])).toBe('sop-class-unsupported');
    expect(refusal([ofClass('7'), ...pixels])).toBe('screen-capture');
    expect(refusal([ofClass('7'), ...pixels, [0x00280301, 'CS', 'NO']])).toBe('exported');
    expect(refusal([ofClass('7'), ...pixels], { cleanPixelData: false })).toBe('exported');
    expect(refusal([...pixels, [0x00280301, 'CS', 'YES']], { cleanPixelData: false })).toBe('burned-in-annotation');
    expect(refusal([...pixels, [0x00080008, 'CS', 'DERIVED\\SECONDARY\\SCREEN SAVE']])).toBe('screen-capture');
    expect(refusal([ofClass('6.1'), ...pixels, [0x00280301, 'CS', 'NO']])).toBe('ultrasound-without-regions');
    expect(refusal([ofClass('77.1.4'), ...pixels])).toBe('visible-light');
    expect(refusal([ofClass('77.1.6'), ...pixels, [0x00080008, 'CS', 'ORIGINAL\\PRIMARY\\LABEL\\NONE']])).toBe('whole-slide-label');
    expect(refusal([[0x00101001, 'PN', Array.from({ length: 400 }, (_, i) => `Name${'abcdefghij'[i % 10] ?? ''}${'abcdefghij'[Math.floor(i / 10) % 10] ?? ''}${'abcd'[Math.floor(i / 100)] ?? ''}`).join('\\')]])).toBe('too-many-names');
  });

  it('tells the same patient by name where there is no Patient ID, and nobody else by it', () => {
    const a = run([[0x00100020, 'LO', '']]);
    const b = run([[0x00100020, 'LO', ' '], [0x0020000d, 'UI', '1.2.77']]);
    expect(a.patient).toEqual(b.patient);
    expect(run([[0x00100020, 'LO', ''], [0x00100030, 'DA', '19500103']]).patient).not.toEqual(a.patient);
    expect(run([[0x00100020, 'LO', ''], [0x00100010, 'PN', '']]).patient).not.toEqual(a.patient);
  });

  it('is not undone by a value in the wrong VR', () => {
    const tricks: DicomJson = run([
      [0x00280010, 'LO', 'Doemueller'], [0x00081010, 'PN', 'Doemueller^John'], [0x00080060, 'OB', Buffer.from('Doemueller')], [0x00200052, 'LO', 'Doemueller'], [0x00080020, 'DA', 'Doemueller'], [0x00081140, 'LO', 'Doemueller'], [0x00080016, 'UI', CT],
    ], { retainDevice: true }).attributes;
    expect(JSON.stringify(tricks)).not.toContain('Doemueller');
  });
});
