import { describe, expect, it } from 'vitest';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { tagOf } from '../../dicom/dictionary.js';
import type { Manifest } from '../../model/manifest.js';
import { domainSchema } from '../../model/manifests/base.js';
import type { StudyInput } from '../analysis.js';
import { fits, select } from './eligibility.js';

type Value = string | number | readonly (string | number)[];
interface Facts {
  uid: string;
  description: string;
  modality?: string;
  slices?: number;
  spacing?: number;
  thickness?: number;
  orientation?: readonly number[];
  /** Slices to leave out. */
  drop?: number;
  fields?: Record<string, Value>;
}

const AXIAL = [1, 0, 0, 0, 1, 0];
const SAGITTAL = [0, 1, 0, 0, 0, -1];

function seriesOf({ uid, description, modality = 'MR', slices = 24, spacing = 5, thickness = spacing, orientation = AXIAL, drop, fields = {} }: Facts): StudyInput['series'][number] {
  const axis = orientation === AXIAL ? 2 : 0;
  const instances = Array.from({ length: slices }, (_, slice) => slice).filter((slice) => slice !== drop).map((slice) => {
    const position = [0, 0, 0];
    position[axis] = slice * spacing * (axis === 2 ? 1 : -1);
    const values: Record<string, Value> = {
      SeriesDescription: description, BodyPartExamined: 'HEAD', PatientAge: '050Y', ImageType: ['ORIGINAL', 'PRIMARY', 'M'], Rows: 256, Columns: 256, PixelSpacing: [0.9, 0.9], ImageOrientationPatient: orientation,
      ImagePositionPatient: position, SliceThickness: thickness, AcquisitionDate: '20260101', ...fields,
    };
    const attributes: DicomJson = Object.fromEntries(Object.entries(values).map(([keyword, value]) => [tagOf(keyword), { vr: 'LO', Value: typeof value === 'object' ? [...value] : [value] }]));
    return { sopInstanceUid: `${uid}.${String(slice + 1)}`, sopClassUid: '1.2.840.10008.5.1.4.1.1.4', instanceNumber: slice + 1, rows: 256, columns: 256, attributes };
  });
  return { seriesInstanceUid: uid, modality, instances };
}

const FOUR: readonly Facts[] = [{ uid: '1.1', description: 'AX T1' }, { uid: '1.2', description: 'AX T1 +C' }, { uid: '1.3', description: 'AX T2' }, { uid: '1.4', description: 'AX FLAIR' }];

/** The four series, some of them changed, and others. */
function study(changes: Record<string, Partial<Facts>> = {}, ...others: Facts[]): StudyInput {
  return { series: [...FOUR.map((facts) => ({ ...facts, ...changes[facts.uid] })), ...others].map(seriesOf) };
}

// Eligibility reads nothing but the domain.
const manifestWith = (domain: object = {}): Manifest => ({ domain: domainSchema.parse({ modalities: ['MR'], bodyParts: ['BRAIN'], ageYears: { min: 18, max: 100 }, sliceThicknessMm: { max: 7 }, minSlices: 15, ...domain }) }) as Manifest;

const chosen = (input: StudyInput, domain?: object): Record<string, string> | string => {
  const outcome = select(input, manifestWith(domain));
  return outcome.kind === 'selected' ? Object.fromEntries(outcome.series.map(({ role, seriesInstanceUid }) => [role, seriesInstanceUid])) : outcome.code;
};

describe('select', () => {
  it('takes the four sequences with their slices in order, and says why', () => {
    const outcome = select(study(), manifestWith());
    expect(outcome).toMatchObject({ kind: 'selected', passedOver: [] });
    if (outcome.kind !== 'selected') return;
    expect(outcome.series.map(({ role, seriesInstanceUid }) => [role, seriesInstanceUid])).toEqual([['t1', '1.1'], ['t1c', '1.2'], ['t2', '1.3'], ['flair', '1.4']]);
    expect(outcome.series[1]?.reason).toBe('T1 with contrast agent: its description says T1, its description names contrast agent.');
    expect(outcome.series[0]?.frames).toHaveLength(24);
    expect(outcome.series[0]?.frames[0]).toEqual({ sopInstanceUid: '1.1.1', frame: 1 });
  });

  it('takes what the manifest asks for and no more', () => {
    const outcome = select(study(), manifestWith({ sequences: ['t1c', 'flair'] }));
    expect(outcome).toMatchObject({ kind: 'selected', series: [{ role: 't1c' }, { role: 'flair' }] });
    if (outcome.kind === 'selected') expect(outcome.passedOver.map(({ reason }) => reason)).toEqual(['T1 without contrast agent, which the model does not read.', 'T2, which the model does not read.']);
  });

  it('names the sequences that are missing', () => {
    const without = (...uids: string[]): StudyInput => ({ series: study().series.filter(({ seriesInstanceUid }) => !uids.includes(seriesInstanceUid)) });
    expect(select(without('1.2'), manifestWith())).toEqual({ kind: 'not-analysable', code: 'missing-sequence', detail: 'The study has no T1 with contrast agent; this model reads T1 without contrast agent, T1 with contrast agent, T2 and FLAIR together.' });
    expect(select(without('1.1', '1.4'), manifestWith())).toMatchObject({ code: 'missing-sequence', detail: expect.stringContaining('no T1 without contrast agent and FLAIR;') as string });
    expect(chosen(study({ '1.1': { description: 'AX T2' }, '1.2': { description: 'AX T2' }, '1.4': { description: 'AX T2' } }))).toBe('missing-sequence');
  });

  it.each<[string, StudyInput, string]>([
    ['images of another modality', study(Object.fromEntries(FOUR.map(({ uid }) => [uid, { modality: 'CT' }]))), 'outside-model-domain'],
    ['another body part', study(Object.fromEntries(FOUR.map(({ uid }) => [uid, { fields: { BodyPartExamined: 'KNEE' } }]))), 'wrong-body-part'],
    ['a child', study(Object.fromEntries(FOUR.map(({ uid }) => [uid, { fields: { PatientAge: '007Y' } }]))), 'outside-model-domain'],
    ['thick slices that are not axial', study({ '1.3': { orientation: SAGITTAL } }), 'not-axial'],
    ['a missing slice', study({ '1.4': { drop: 10 } }), 'series-not-a-volume'],
    ['too few slices', study({ '1.1': { slices: 9 } }), 'too-few-slices'],
    ['slices that are too thick', study({ '1.2': { spacing: 9 } }), 'slice-too-thick'],
    ['no images', { series: [] }, 'no-suitable-image'],
  ])('refuses %s', (_, input, code) => {
    expect(chosen(input)).toBe(code);
  });

  it('says which sequence is at fault', () => {
    expect(select(study({ '1.4': { drop: 10 } }), manifestWith())).toMatchObject({ detail: expect.stringMatching(/^FLAIR: 1 slice is missing between slices 10 and 11/) as string });
  });

  it('reformats thin slices of any plane, unless the manifest insists on axial ones', () => {
    const input = study({ '1.1': { orientation: SAGITTAL, slices: 170, spacing: 1 } });
    expect(chosen(input)).toMatchObject({ t1: '1.1' });
    expect(chosen(input, { plane: 'axial' })).toBe('not-axial');
  });

  it.each<[string, Facts, Record<string, Partial<Facts>>, string]>([
    ['the thinner slices', { uid: '2.1', description: 'AX T2', spacing: 3, slices: 40 }, {}, '2.1'],
    ['a volume before a broken one', { uid: '2.1', description: 'AX T2', spacing: 3, slices: 40, drop: 7 }, {}, '1.3'],
    ['axial before coronal or sagittal', { uid: '2.1', description: 'SAG T2', orientation: SAGITTAL }, {}, '1.3'],
    ['the newer of two', { uid: '2.1', description: 'AX T2', fields: { AcquisitionDate: '20260102' } }, {}, '2.1'],
    ['an original before a reformat', { uid: '2.1', description: 'AX T2', spacing: 1, slices: 120, fields: { ImageType: ['DERIVED', 'PRIMARY', 'MPR'] } }, {}, '1.3'],
    ['the one that timing confirms', { uid: '2.1', description: 'AX T2', fields: { RepetitionTime: 4500, EchoTime: 96 } }, {}, '2.1'],
  ])('prefers %s', (_, other, changes, uid) => {
    const input = study(changes, other);
    for (const series of [input.series, [...input.series].reverse()]) expect(chosen({ series })).toMatchObject({ t2: uid });
  });

  it('tells of every series that it left, why', () => {
    const outcome = select(study({}, { uid: '2.1', description: 'DWI' }, { uid: '2.2', description: 'AX T2', slices: 30 }, { uid: '2.3', description: 'HEAD', modality: 'CT' }), manifestWith());
    expect(outcome.kind === 'selected' && Object.fromEntries(outcome.passedOver.map(({ seriesInstanceUid, reason }) => [seriesInstanceUid, reason]))).toEqual({
      '2.1': 'It is a diffusion image.', '2.2': 'T2: its description says T2. Another series serves better: clearer by its attributes, original, axial, thinner or newer.', '2.3': 'It is of another modality.',
    });
  });
});

describe('fits', () => {
  it('looks at modality and body part alone', () => {
    expect(fits(study(), manifestWith())).toBe(true);
    expect(fits({ series: study().series.slice(0, 1) }, manifestWith())).toBe(true);
    expect(fits({ series: [seriesOf({ uid: '3', description: 'T1', fields: { BodyPartExamined: 'KNEE' } })] }, manifestWith())).toBe(false);
  });
});
