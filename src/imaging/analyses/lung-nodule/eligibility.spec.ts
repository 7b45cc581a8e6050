import { describe, expect, it } from 'vitest';
import { seriesOf, studyInputOf, type DicomObject, type SourceVolume, type VolumeSeriesOptions } from '../../../../test/support/dicom-volumes.js';
import { domainSchema } from '../../model/manifests/base.js';
import type { NotAnalysable, Selected } from '../analysis.js';
import { fits, select } from './eligibility.js';
import { kernelClassOf } from './kernel.js';

const domain = domainSchema.parse({
  modalities: ['CT'], bodyParts: ['CHEST'], unknownAge: 'inside', sliceThicknessMm: { max: 2.5 }, sliceSpacingMm: { max: 3 }, minSlices: 20, minCoverageMm: 50, kernels: ['soft', 'unknown', 'sharp'],
});
const AXIAL: SourceVolume['affine'] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0]];

function ct(options: VolumeSeriesOptions = {}, affine = AXIAL, slices = 40): DicomObject[] {
  return seriesOf({ size: [2, 2, slices], affine, voxels: new Int16Array(4 * slices) }, { modality: 'CT', ...options, fields: { ConvolutionKernel: 'B30f', ...options.fields } });
}

function chosen(...series: DicomObject[][]): Selected | NotAnalysable {
  return select(studyInputOf(series.flat()), { domain });
}

function code(...series: DicomObject[][]): string {
  const outcome = chosen(...series);
  return outcome.kind === 'not-analysable' ? outcome.code : 'selected';
}

const uid = (objects: DicomObject[]): string => studyInputOf(objects).series[0]?.seriesInstanceUid ?? '';

describe('the selection of a chest CT', () => {
  it('takes the slices in their order and says what they are', () => {
    expect(chosen(ct({ shuffle: 1 }))).toMatchObject({
      kind: 'selected', passedOver: [],
      series: [{ role: 'ct', frames: { length: 40 }, reason: '40 original axial slices of a soft kernel (B30f), 2 mm thick, 2 mm apart, over 78 mm.' }],
    });
  });

  it('takes an enhanced object by its frames', () => {
    const outcome = chosen(ct({ enhanced: true, drop: [0] }));
    expect(outcome).toMatchObject({ kind: 'selected', series: [{ reason: '39 original axial slices of a soft kernel (B30f), 2 mm thick, 2 mm apart, over 76 mm.' }] });
    expect(outcome.kind === 'selected' && new Set(outcome.series[0]?.frames.map(({ sopInstanceUid }) => sopInstanceUid)).size).toBe(1);
  });

  it('prefers coverage, then the manifest\'s kernel, then originals, then thin slices, and says why', () => {
    const soft = ct();
    const lung = ct({ series: 'lung', sliceThickness: 1, fields: { ConvolutionKernel: 'B70f' } });
    const short = ct({ series: 'short', sliceThickness: 1 }, AXIAL, 28);
    const derived = ct({ series: 'derived', fields: { ImageType: ['DERIVED', 'SECONDARY', 'REFORMATTED', 'AVERAGE'] } });
    const mip = ct({ series: 'mip', seriesDescription: 'Chest MIP 8/2' });
    const report = ct({ series: 'report', fields: { SOPClassUID: '1.2.840.10008.5.1.4.1.1.7', ImageType: ['DERIVED', 'SECONDARY'] } }, AXIAL, 1);
    const outcome = chosen(lung, short, derived, mip, soft, report);
    if (outcome.kind !== 'selected') throw new Error(outcome.detail);
    expect(outcome.series[0]?.seriesInstanceUid).toBe(uid(soft));
    expect(outcome.series[0]?.reason).toMatch(/First of 4 series that can be read: it .*covers more/);
    const reasons = new Map(outcome.passedOver.map(({ seriesInstanceUid, reason }) => [seriesInstanceUid, reason]));
    expect(reasons.get(uid(lung))).toContain('of a sharp kernel (B70f), 1 mm thick, 2 mm apart, over 78 mm. Left, since the chosen one has the kernel that the model prefers (soft).');
    expect(reasons.get(uid(short))).toContain('Left, since the chosen one covers more.');
    expect(reasons.get(uid(derived))).toContain('Left, since the chosen one is original, not derived.');
    expect(reasons.get(uid(mip))).toBe('The series holds scout images, projections, renderings or captured screens, not slices.');
    expect(reasons.size).toBe(5);
    const sharpFirst = { ...domain, kernels: ['sharp' as const, 'soft' as const] };
    expect(select(studyInputOf([...soft, ...lung]), { domain: sharpFirst })).toMatchObject({ series: [{ seriesInstanceUid: uid(lung) }] });
  });

  it('takes the same series in whatever order they come', () => {
    const [a, b] = [ct({ series: 'a' }), ct({ series: 'b' })];
    const outcome = chosen(a, b);
    expect(chosen(b, a)).toEqual(outcome);
  });

  it('does not quote descriptions, which can name people', () => {
    const outcome = JSON.stringify([chosen(ct({ seriesDescription: 'Doe^John soft' })), chosen(ct({ fields: { BodyPartExamined: 'Doe1', ProtocolName: 'Doe' } }))]);
    expect(outcome).not.toMatch(/doe/i);
  });

  it('gives each reason not to analyse', () => {
    expect(chosen(ct({ drop: [10] }))).toEqual({ kind: 'not-analysable', code: 'series-not-a-volume', detail: '1 slice is missing between slices 10 and 11, the first at z = 18 mm, the second at z = 22 mm.' });
    expect(chosen(ct({ sliceThickness: 5 }))).toEqual({ kind: 'not-analysable', code: 'slice-too-thick', detail: 'The slices are 5 mm thick; this model reads slices of up to 2.5 mm.' });
    expect(code(ct({ sliceThickness: 1 }, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 5, 0]]))).toBe('slice-too-thick');
    expect(chosen(ct({ fields: { BodyPartExamined: 'HEAD' } }))).toEqual({ kind: 'not-analysable', code: 'wrong-body-part', detail: 'The images show HEAD; this model reads CHEST.' });
    expect(chosen(ct({}, [[0, 0, 2, 0], [1, 0, 0, 0], [0, -1, 0, 0]]))).toEqual({ kind: 'not-analysable', code: 'not-axial', detail: 'The slices are sagittal; this model reads axial ones.' });
    const [c, s] = [Math.cos(0.7), Math.sin(0.7)];
    expect(code(ct({}, [[1, 0, 0, 0], [0, c, -s * 2, 0], [0, s, c * 2, 0]]))).toBe('not-axial');
    expect(chosen(ct({}, AXIAL, 5))).toMatchObject({ code: 'too-few-slices', detail: 'The series has 5 slices; this model needs 20.' });
    expect(code(ct({}, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], 30))).toBe('too-few-slices');
    expect(code(ct({}, [[1, 0, 0, 0], [0, 1, 0.8, 0], [0, 0, 2, 0]]))).toBe('series-not-a-volume');
    expect(code(ct({ modality: 'MR' }))).toBe('outside-model-domain');
    expect(code(ct({ fields: { ImageType: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] } }))).toBe('no-suitable-image');
    expect(select({ series: [] }, { domain })).toMatchObject({ code: 'no-suitable-image' });
    expect(select(studyInputOf(ct()), { domain: { ...domain, kernels: ['sharp'] } })).toMatchObject({ code: 'outside-model-domain', detail: 'The kernel is soft; this model reads sharp.' });
    expect(select(studyInputOf(ct({ fields: { PatientAge: '010Y' } })), { domain: { ...domain, ageYears: { min: 18, max: 120 } } })).toMatchObject({ code: 'outside-model-domain', detail: 'The patient is 10 years old; this model is for ages of 18 to 120 years.' });
    const phases = [1, 2].map((phase) => ct({ fields: { TemporalPositionIdentifier: phase }, perSlice: (slice) => ({ SOPInstanceUID: `1.2.${String(phase)}.${String(slice)}` }) }));
    expect(chosen(...phases)).toMatchObject({ code: 'series-not-a-volume', detail: 'The series holds 2 volumes of 40 slices at the same places.' });
  });

  it('tells of the series that came nearest', () => {
    expect(code(ct({ series: 'scout', fields: { ImageType: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] } }, AXIAL, 2), ct({ series: 'thick', sliceThickness: 5 }), ct({ series: 'few' }, AXIAL, 3))).toBe('slice-too-thick');
  });

  it('knows the chest by any of its names', () => {
    for (const part of ['THORAX', 'LUNG', 'CHEST_ABDOMEN', 'CHESTABDPELVIS']) expect(code(ct({ fields: { BodyPartExamined: part } })), part).toBe('selected');
    for (const words of ['肺部平扫 1.0mm', '胸部CT', 'Thorax native', 'CHEST W/O']) expect(code(ct({ seriesDescription: words, fields: { BodyPartExamined: undefined } })), words).toBe('selected');
    for (const words of ['头颅平扫', '腹部增强', 'Brain 5mm', '胸椎', 'Head First']) expect(code(ct({ seriesDescription: words, fields: { BodyPartExamined: words === 'Head First' ? 'HEAD' : undefined } })), words).toBe('wrong-body-part');
    expect(code(ct({ fields: { BodyPartExamined: 'ABDOMEN', ProtocolName: '5.1 LungRoutine' } }))).toBe('selected');
    expect(code(ct({ fields: { BodyPartExamined: undefined, StudyDescription: 'CT of the head' } }))).toBe('wrong-body-part');
    expect(code(ct({ fields: { BodyPartExamined: undefined } }))).toBe('selected');
    expect(select(studyInputOf(ct({ fields: { BodyPartExamined: undefined } })), { domain: { ...domain, unknownBodyPart: 'outside' } })).toMatchObject({ code: 'wrong-body-part' });
  });

  it('counts 20,000 slices and looks at none', () => {
    const input = studyInputOf(ct());
    const [series] = input.series;
    const [one] = series?.instances ?? [];
    if (series === undefined || one === undefined) throw new Error('no series');
    const many = { series: [{ ...series, instances: Array.from({ length: 20_000 }, (_, i) => ({ ...one, sopInstanceUid: `1.${String(i)}` })) }] };
    expect(select(many, { domain })).toMatchObject({ code: 'series-not-a-volume', detail: 'The series has 20000 frames; more than 10000 are not read.' });
  });

  it('says early whether a study is worth planning', () => {
    expect(fits(studyInputOf(ct()), { domain })).toBe(true);
    expect(fits(studyInputOf(ct({ fields: { BodyPartExamined: 'HEAD' } })), { domain })).toBe(false);
    expect(fits(studyInputOf(ct({ modality: 'MR' })), { domain })).toBe(false);
  });
});

describe('kernels', () => {
  it.each([
    ['B30f', 'soft'], ['B70f', 'sharp'], ['Br36d\\3', 'soft'], ['Bl57d', 'sharp'], ['I31f', 'soft'], ['STANDARD', 'soft'], ['LUNG', 'sharp'], ['BONEPLUS', 'sharp'], ['CHST', 'soft'],
    ['FC08', 'soft'], ['FC51', 'sharp'], ['B', 'soft'], ['L', 'sharp'], ['YC', 'sharp'], ['B_SHARP_C', 'sharp'], ['B_SOFT_B', 'soft'], ['XYZ', 'unknown'],
  ])('%s is %s', (kernel, expected) => {
    expect(kernelClassOf({ '00181210': { vr: 'SH', Value: kernel.split('\\') } })).toBe(expected);
  });

  it.each([['肺窗 1.0', 'sharp'], ['纵隔窗 5.0', 'soft'], ['Chest soft tissue', 'soft'], ['Lung HRCT', 'sharp'], ['Series 4', 'unknown']])('"%s" without a kernel is %s', (description, expected) => {
    expect(kernelClassOf({ '0008103E': { vr: 'LO', Value: [description] } })).toBe(expected);
  });
});
