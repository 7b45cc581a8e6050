import { Message } from 'node-hl7-client';
import { describe, expect, it } from 'vitest';
import type { DicomJson } from '../../dicom/dicom-json.js';
import type { Finding } from '../finding.js';
import { decoded, encoded } from './character-set.js';
import { oruMessage, type OruAddress, type OruSource } from './oru.js';

const ADDRESS: OruAddress = { sendingApplication: 'HEALTHVISION', sendingFacility: 'RAD', receivingApplication: 'RIS', receivingFacility: 'HOSPITAL', characterSet: 'UTF-8', processingId: 'P', language: 'en' };
const AT = new Date('2026-11-21T10:00:00Z');

const ATTRIBUTES: DicomJson = {
  '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Wang^XiaoDong^^Dr^III', Ideographic: '王^小东' }] }, '00100020': { vr: 'LO', Value: ['PID-7'] }, '00100021': { vr: 'LO', Value: ['HOSP'] },
  '00100030': { vr: 'DA', Value: ['19720304'] }, '00100040': { vr: 'CS', Value: ['F'] }, '00080050': { vr: 'SH', Value: ['ACC-1'] }, '00081030': { vr: 'LO', Value: ['CT Thorax'] },
  '00080020': { vr: 'DA', Value: ['20261121'] }, '00080030': { vr: 'TM', Value: ['101500.123'] }, '00080201': { vr: 'SH', Value: ['+0800'] },
};
const NODULE: Finding = {
  id: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a50', kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.9312,
  location: { center: [12.1, -83, -141.5], sopInstanceUid: '1.2.3.4', frame: 1 },
  measurements: [{ name: 'diameter', value: 8.4, unit: 'mm' }, { name: 'volume', value: 310, unit: 'mm3' }, { name: 'meanAttenuation', value: -40, unit: 'HU' }],
  attributes: [{ name: 'side', value: 'right', concept: { system: 'SNOMED-CT', value: '272741003', meaning: 'Laterality' }, code: { system: 'SNOMED-CT', value: '24028007', meaning: 'Right' } }, { name: 'lungRads', value: '4A' }],
};

function source(changes: Partial<OruSource> = {}): OruSource {
  return {
    controlId: 'ABCDEF0123456789ABCD', sentAt: AT, resultId: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49', analysis: 'lung-nodule-detection', studyInstanceUid: '1.2.840.1', status: 'preliminary', madeAt: AT,
    summary: '1 nodule, 8.4 mm', critical: false, findings: [NODULE], labels: [], segments: [], model: { name: 'nodules', version: '1.0.0' }, attributes: ATTRIBUTES, signedBy: null, reportUrl: undefined, pdf: undefined,
    ...changes,
  };
}

const lines = (changes: Partial<OruSource> = {}, address: Partial<OruAddress> = {}): string[] => oruMessage(source(changes), { ...ADDRESS, ...address }).split('\r').slice(0, -1);
const only = (name: string, all: readonly string[]): string[] => all.filter((line) => line.startsWith(name));

describe('ORU^R01', () => {
  it('warns of images that are like no others, below what every message says', () => {
    expect(only('NTE', lines({ outOfDistribution: { score: 5, threshold: 4, strange: true } }))).toEqual([
      'NTE|1|L|Not for primary diagnosis.', 'NTE|2|L|The images look unlike those that the model was made with: judge its findings with care.',
    ]);
  });

  it('is what a RIS reads', () => {
    expect(lines({ reportUrl: 'https://hv.example/api/v1/results/1/report.html?language=en' })).toEqual([
      'MSH|^~\\&|HEALTHVISION|RAD|RIS|HOSPITAL|20261121100000+0000||ORU^R01^ORU_R01|ABCDEF0123456789ABCD|P|2.5.1||||||UNICODE UTF-8|en^English^ISO639',
      'PID|1||PID-7^^^HOSP^PI||Wang^XiaoDong^^III^Dr^^L^A~王^小东^^^^^L^I||19720304|F',
      'PV1|1|U',
      'ORC|RE|ACC-1|0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49^HEALTHVISION||IP',
      'OBR|1|ACC-1|0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49^HEALTHVISION|24627-2^CT Chest^LN^lung-nodule-detection^lung-nodule-detection^99HV|||20261121101500+0800|||||||||||ACC-1||||20261121100000+0000||RAD|P',
      'NTE|1|L|Not for primary diagnosis.',
      'OBX|1|ST|113014^DICOM Study^DCM||1.2.840.1||||||P',
      'OBX|2|ST|121065^Procedure Description^DCM||CT Thorax||||||P',
      'OBX|3|TX|19005-8^Radiology Imaging study [Impression]^LN||1 nodule, 8.4 mm|||A|||P',
      'OBX|4|CE|121071^Finding^DCM|1|27925004^Nodule^SCT|||A|||P',
      'OBX|5|NM|111012^Certainty of Finding^DCM|1|93.12|%^percent^UCUM|||||P',
      'OBX|6|NM|81827009^Diameter^SCT|1|8.4|mm^millimeter^UCUM|||||P',
      'OBX|7|NM|118565006^Volume^SCT|1|310|mm3^cubic millimeter^UCUM|||||P',
      "OBX|8|NM|112031^Mean attenuation^DCM|1|-40|[hnsf'U]^Hounsfield unit^UCUM|||||P",
      'OBX|9|CE|272741003^Side^SCT|1|24028007^Right^SCT||||||P',
      'OBX|10|CE|LUNG-RADS^Lung-RADS (suggested)^99HV|1|LUNG-RADS-4A^4A^99HV||||||P',
      'OBX|11|ST|121112^Source image^DCM|1|1.2.3.4 1||||||P',
      'OBX|12|ST|111001^Algorithm Name^DCM||nodules||||||P',
      'OBX|13|ST|111003^Algorithm Version^DCM||1.0.0||||||P',
      'OBX|14|RP|REPORT-LINK^Link to the report^99HV||https://hv.example/api/v1/results/1/report.html?language=en^^text^html||||||P',
    ]);
  });

  it.each([['preliminary', 'P', 'IP'], ['final', 'F', 'CM'], ['amended', 'C', 'CM']] as const)('says of a %s result %s, everywhere', (status, code, order) => {
    const all = lines({ status, signedBy: status === 'preliminary' ? null : { id: 'u1', name: 'Dr. Zhang & Co' } });
    expect(only('OBX', all).every((line) => line.split('|')[11] === code)).toBe(true);
    const [orc, obr] = [only('ORC', all)[0]?.split('|'), only('OBR', all)[0]?.split('|')];
    expect([orc?.[5], obr?.[25], obr?.[32]]).toEqual([order, code, status === 'preliminary' ? undefined : 'u1&Dr. Zhang \\T\\ Co']);
  });

  it('marks what is critical, what is not normal and what is', () => {
    const impression = (changes: Partial<OruSource>): string | undefined => only('OBX', lines(changes)).find((line) => line.includes('19005-8'))?.split('|')[8];
    expect([impression({ critical: true }), impression({}), impression({ findings: [] }), impression({ findings: [], labels: [{ name: 'No Finding', probability: 0.9, threshold: 0.5, positive: true }] })]).toEqual(['AA', 'A', 'N', 'N']);
  });

  it('tells labels with their probabilities, each once, and not the model’s where a person says otherwise', () => {
    const labels = [
      { name: 'Pneumonia', probability: 0.93, threshold: 0.8935, positive: true, code: { system: 'SNOMED-CT', value: '233604007', meaning: 'Pneumonia' } },
      { name: 'Pleural_Thickening', probability: 0.004, threshold: 0.5, positive: true, review: { state: 'disagreed' as const, by: 'x', at: AT.toISOString(), version: 2 } },
    ];
    const findings: Finding[] = [{ ...NODULE, kind: 'label', code: { system: 'SNOMED-CT', value: '233604007', meaning: 'Pneumonia' }, score: 0.93, measurements: [], attributes: [] }];
    expect(only('OBX', lines({ labels, findings, analysis: 'chest-xray-classification' }, { language: 'zh-CN' })).slice(3, 6).map((line) => line.replace(/^OBX\|\d+\|/, ''))).toEqual([
      'CE|233604007^肺炎^SCT|L1|52101004^有^SCT|||A|||P',
      'NM|111012^置信度^DCM|L1|93|%^percent^UCUM|<89.35||||P',
      'CE|Pleural_Thickening^胸膜增厚^99HV|L2|52101004^有^SCT|||A|||P',
    ]);
  });

  it('tells what segments measure, but not what a person disagrees with', () => {
    const segments = [{ number: 1, name: 'Whole tumour', volumeMl: 41.2 }, { number: 2, name: 'Core', volumeMl: 1, review: { state: 'disagreed' as const, by: 'x', at: AT.toISOString(), version: 2 } }];
    const all = only('OBX', lines({ segments, findings: [], analysis: 'brain-tumour-segmentation' })).join('\n');
    expect(all).toContain('|NM|118565006^Volume^SCT|S1|41.2|mL^milliliter^UCUM|');
    expect(all).not.toContain('Core');
  });

  it('attaches a report in base64, whole', () => {
    const pdf = Uint8Array.from({ length: 1_000 }, (_, n) => n % 256);
    const value = only('OBX', lines({ pdf })).at(-1)?.split('|')[5]?.split('^');
    expect(value?.slice(0, 4)).toEqual(['', 'application', 'pdf', 'Base64']);
    expect(Buffer.from(value?.[4] ?? '', 'base64').equals(pdf)).toBe(true);
  });

  it('speaks Chinese in GB 18030, which another reader understands', () => {
    const text = oruMessage(source({ summary: '1 个结节，直径 8.4 mm' }), { ...ADDRESS, language: 'zh-CN', characterSet: 'GB18030' });
    const message = new Message({ text: decoded(encoded(text, 'GB18030'), 'GB18030').trim() });
    expect([message.get('MSH.18').toString(), message.get('MSH.19.1').toString(), message.get('PID.3.1').toString(), message.get('NTE.3').toString()]).toEqual(['GB 18030-2000', 'zh', 'PID-7', '不用于初步诊断。']);
    expect(text).toContain('|1 个结节，直径 8.4 mm|');
  });

  it('takes a first group in Chinese for ideographic, and no date for one that is none', () => {
    const pid = only('PID', lines({ attributes: { '00100010': { vr: 'PN', Value: [{ Alphabetic: '王小东' }] }, '00100030': { vr: 'DA', Value: ['19720231'] }, '00100040': { vr: 'CS', Value: ['X'] } } }))[0];
    expect(pid).toBe('PID|1||^^^^PI||王小东^^^^^^L^I|||U');
  });

  it('gives the study’s time without an offset where nobody knows it, and a date alone', () => {
    const time = (attributes: DicomJson): string | undefined => only('OBR', lines({ attributes }))[0]?.split('|')[7];
    const [date, hour] = [{ '00080020': { vr: 'DA', Value: ['20261121'] } }, { '00080030': { vr: 'TM', Value: ['1015'] } }];
    expect([time({ ...date, ...hour }), time(date), time(hour), time({ ...date, ...hour, '00080201': { vr: 'SH', Value: ['-0530'] } }), time({ ...date, ...hour, '00080201': { vr: 'SH', Value: ['|'] } })]).toEqual(['20261121101500', '20261121', '', '20261121101500-0530', '20261121101500']);
  });

  it('cannot be made into other segments by what images and models say', () => {
    const evil = 'x\rPID|1||999^^^&~\\\n\u000b\u001c\rOBX|1|ST|""';
    const hostile = lines({
      attributes: { '00100010': { vr: 'PN', Value: [{ Alphabetic: `${evil}^${evil}`, Ideographic: evil }] }, '00100020': { vr: 'LO', Value: [evil] }, '00100030': { vr: 'DA', Value: [evil] }, '00100040': { vr: 'CS', Value: [evil] }, '00080050': { vr: 'SH', Value: [evil] }, '00081030': { vr: 'LO', Value: [evil] }, '00080020': { vr: 'DA', Value: [evil] } },
      summary: evil, model: { name: evil, version: evil }, analysis: evil, signedBy: { id: evil, name: evil }, status: 'final', reportUrl: evil,
      findings: [{ ...NODULE, kind: evil, code: { system: evil, value: evil, meaning: evil }, measurements: [{ name: evil, value: Number.NaN, unit: evil }, { name: 'constructor', value: 1e-9, unit: '__proto__' }], attributes: [{ name: evil, value: evil }] }],
      labels: [{ name: evil, probability: 0.5, threshold: 0.1, positive: true }], segments: [{ number: 1, name: evil, volumeMl: Infinity }],
    });
    expect(hostile.map((line) => line.slice(0, 4))).toEqual(['MSH|', 'PID|', 'PV1|', 'ORC|', 'OBR|', 'NTE|', ...hostile.slice(6).map(() => 'OBX|')]);
    expect(hostile.join('')).not.toMatch(/[\u0000-\u001f]/);
    for (const line of hostile.slice(1)) expect(line.split('|').length).toBeLessThan(34);
    expect(only('OBX', hostile).find((line) => line.startsWith('OBX|6|'))?.split('|')[11]).toBe('X');
  });
});
