import { describe, expect, it } from 'vitest';
import { noduleSource, SEG, tumourSource, xraySource } from '../../../test/support/sr-sources.js';
import { numbers, personName, sequence, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { tagOf } from '../dicom/dictionary.js';
import { parseInstanceBytes } from '../dicom/header.js';
import { checkSr } from './check-sr.js';
import type { DerivedSource } from './derived.js';
import { NAMES } from './sr/concepts.js';
import { srIdentity } from './sr/document.js';
import { childrenNamed, codeIn, everyItem, measurementGroups, readTree, type ContentItem } from './sr/tree.js';
import { writeSr } from './sr.js';
import { trackingUidOf } from './tracking.js';

function read(source: DerivedSource, seg: typeof SEG | null = SEG): { attributes: DicomJson; root: ContentItem; groups: ContentItem[] } {
  const { bytes } = writeSr(source, seg);
  expect(checkSr(bytes, source, seg)).toEqual([]);
  const { attributes } = parseInstanceBytes(bytes);
  const root = readTree(attributes);
  return { attributes, root, groups: measurementGroups(root, NAMES.measurements, NAMES.group) };
}

const templates = (groups: readonly ContentItem[]): unknown[] => groups.map(({ template }) => template);
const namesIn = (group: ContentItem | undefined): (string | undefined)[] => (group?.children ?? []).filter(({ valueType }) => valueType === 'NUM').map(({ name }) => name?.meaning);

/** Of an ellipse on an image. */
function middleOf(region: ContentItem | undefined): number[] {
  const data = numbers(region?.json ?? {}, 'GraphicData');
  return [0, 1].map((axis) => Number(([0, 2, 4, 6].reduce((sum, at) => sum + (data[at + axis] ?? NaN), 0) / 4).toFixed(3)));
}

describe('nodules', () => {
  it('are a planar region with what is measured in the slice, and a segment with what is measured over all voxels', () => {
    const source = noduleSource();
    const { groups } = read(source);
    expect(templates(groups)).toEqual(['1410', '1411', '1410', '1411']);
    expect(namesIn(groups[0])).toEqual(['Certainty of Finding', 'Diameter', 'Long axis', 'Short axis', 'Diameter of the solid part']);
    expect(namesIn(groups[1])).toEqual(['Volume', 'Attenuation Coefficient']);
    const uids = groups.map((group) => text(childrenNamed(group, NAMES.trackingUid)[0]?.json ?? {}, 'UID'));
    expect(uids).toEqual(source.findings.flatMap(({ id }) => [trackingUidOf(source.resultId, id), trackingUidOf(source.resultId, id)]));
    const segments = [groups[1], groups[3]].map((group) => group && sequence(childrenNamed(group, NAMES.segment)[0]?.json ?? {}, 'ReferencedSOPSequence').map((reference) => numbers(reference, 'ReferencedSegmentNumber')));
    expect(segments).toEqual([[[1]], [[2]]]);
  });

  it.each(['axial', 'oblique', 'reversed'] as const)('are marked around their centre in an %s series', (course) => {
    const source = noduleSource({ course, count: 5 });
    const { groups } = read(source);
    for (const [n, group] of groups.filter(({ template }) => template === '1410').entries()) {
      const { location } = source.findings[n] ?? {};
      const center = childrenNamed(group, NAMES.center)[0]?.json ?? {};
      for (const [axis, value] of numbers(center, 'GraphicData').entries()) expect(value).toBeCloseTo(location?.center?.[axis] ?? NaN, 3);
      expect(text(center, 'ReferencedFrameOfReferenceUID')).toBe(source.segmentation?.grid.frameOfReferenceUid);
      const region = childrenNamed(group, NAMES.region)[0];
      // Made in the voxel with these indices; the middle of a pixel is half a pixel from its corner.
      expect(middleOf(region)).toEqual([4.5 + (n * 7) % 40, 4.5]);
      expect(region?.children.flatMap(({ json }) => sequence(json, 'ReferencedSOPSequence').map((image) => text(image, 'ReferencedSOPInstanceUID')))).toEqual([location?.sopInstanceUid]);
    }
  });

  it('that a person added name no algorithm', () => {
    const source = noduleSource();
    const [first, second] = source.findings;
    if (!first || !second) throw new Error('too few nodules');
    const review = { state: 'added' as const, by: first.id, at: '2026-11-29T12:34:56Z', version: 2 };
    const { groups } = read({ ...source, version: 2, original: [first], findings: [first, { ...second, review }] });
    expect(groups.map((group) => [NAMES.algorithmName, NAMES.algorithmVersion].map((name) => childrenNamed(group, name).length))).toEqual([[1, 1], [1, 1], [0, 0], [0, 0]]);
  });

  it('say on which side they are, at the site', () => {
    const { groups } = read(noduleSource());
    const site = groups[0] && childrenNamed(groups[0], NAMES.site)[0];
    expect(site && codeIn(site.json, 'ConceptCodeSequence')).toEqual({ value: '39607008', scheme: 'SCT', meaning: 'Lung' });
    expect(site && childrenNamed(site, NAMES.laterality).map(({ json }) => codeIn(json, 'ConceptCodeSequence')?.meaning)).toEqual(['Left']);
  });

  it('are regions alone where there is no segmentation', () => {
    const { groups } = read(noduleSource(), null);
    expect(templates(groups)).toEqual(['1410', '1410']);
    expect(namesIn(groups[0])).toContain('Volume');
  });

  it('are marked on the image alone where the source names no frame of reference', () => {
    const source = noduleSource();
    const without = <T extends object>(of: T, key: keyof T): T => Object.fromEntries(Object.entries(of).filter(([name]) => name !== key)) as T; // without one key
    const { groups } = read({
      ...source,
      instances: source.instances.map((instance) => ({ ...instance, attributes: without(instance.attributes, tagOf('FrameOfReferenceUID')) })),
      findings: source.findings.map((finding) => ({ ...finding, ...(finding.location && { location: without(finding.location, 'frameOfReferenceUid') }) })),
      segmentation: source.segmentation && { ...source.segmentation, grid: without(source.segmentation.grid, 'frameOfReferenceUid') },
    });
    expect(groups[0] && middleOf(childrenNamed(groups[0], NAMES.region)[0])).toEqual([4.5, 4.5]);
    expect(groups[0] && childrenNamed(groups[0], NAMES.center)).toEqual([]);
  });

  it('may be two hundred', () => {
    const { groups } = read(noduleSource({ count: 200 }));
    expect(groups.filter(({ template }) => template === '1410')).toHaveLength(200);
  });

  it('may be none', () => {
    const { root, groups } = read(noduleSource({ count: 0 }), null);
    expect(groups).toEqual([]);
    const [evaluations] = childrenNamed(root, NAMES.evaluations);
    expect(evaluations?.children.map(({ json, name }) => [name?.meaning, codeIn(json, 'ConceptCodeSequence')?.meaning ?? text(json, 'TextValue')])).toEqual([['Nodule', 'Absent'], ['Comment', 'No nodule found']]);
  });
});

describe('tumours', () => {
  it('have the whole tumour for a segment when they are alone', () => {
    const { groups } = read(tumourSource());
    expect(templates(groups)).toEqual(['1410', '1411']);
    expect(namesIn(groups[1])).toEqual(['Volume', 'Volume of the tumour core', 'Volume of the enhancing tumour']);
  });

  it('have no segment of their own when two share the regions', () => {
    const { groups } = read(tumourSource({ tumours: 2 }));
    expect(templates(groups)).toEqual(['1410', '1410']);
  });
});

describe('a classified X-ray', () => {
  it('says of every label whether it is present, with probability and threshold', () => {
    const source = xraySource();
    const { groups } = read(source, null);
    expect(templates(groups)).toEqual(['1501', '1501', '1501']);
    const said = groups.map((group) => group.children.filter(({ relationship, valueType }) => valueType === 'CODE' && relationship === 'CONTAINS').map(({ name, json }) => [name?.meaning, codeIn(json, 'ConceptCodeSequence')?.meaning]));
    expect(said).toEqual([[['Finding category', 'Clinical finding'], ['Finding', 'Pneumonia'], ['Pneumonia', 'Present']], [['Effusion', 'Absent']], [['No Finding', 'Absent']]]);
    expect(text(childrenNamed(groups[0] ?? readTree({}), NAMES.trackingUid)[0]?.json ?? {}, 'UID')).toBe(trackingUidOf(source.resultId, source.findings[0]?.id ?? ''));
  });

  it('has coordinates in every group, without which viewers fail to show any', () => {
    const { groups } = read(xraySource(), null);
    for (const group of groups) expect([...everyItem(group)].some(({ valueType }) => valueType === 'SCOORD')).toBe(true);
  });

  it('does without the size of the image', () => {
    const source = xraySource({ Rows: undefined, Columns: undefined });
    expect(read(source, null).groups).toHaveLength(3);
  });
});

describe('the document', () => {
  it.each(['王^小东', 'Müller^Jörg', 'Παπαδόπουλος^Νίκος', 'Иванов^Пётр', 'أحمد^علي', 'やまだ^たろう', '김^희중', 'สมชาย^ใจดี', 'x'.repeat(200), '😀^👩‍⚕️'])('keeps the name %s', (PatientName) => {
    expect(personName(read(xraySource({ PatientName }), null).attributes, 'PatientName')).toEqual({ Alphabetic: PatientName });
  });

  it('keeps all groups of a name', () => {
    const source = xraySource();
    const name = { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' };
    const named = { ...source, instances: source.instances.map((instance) => ({ ...instance, attributes: { ...instance.attributes, '00100010': { vr: 'PN', Value: [name] } } })) };
    expect(personName(read(named, null).attributes, 'PatientName')).toEqual(name);
  });

  it('is written of images that say next to nothing', () => {
    const source = xraySource();
    const bare = { ...source, instances: source.instances.map((instance) => ({ ...instance, attributes: {} })) };
    expect(read(bare, null).attributes[tagOf('PatientName')]).toEqual({ vr: 'PN' });
  });

  it('takes an element from the first image that has it', () => {
    const source = noduleSource();
    const [first, ...others] = source.instances;
    if (first === undefined) throw new Error('no image');
    const named = { vr: 'LO', Value: ['Behind'] };
    const mixed = { ...source, instances: [{ ...first, attributes: { ...first.attributes, '00081030': { vr: 'LO' } } }, ...others.map((instance) => ({ ...instance, attributes: { ...instance.attributes, '00081030': named } }))] };
    expect(text(read(mixed).attributes, 'StudyDescription')).toBe('Behind');
  });

  it('is unverified until somebody stands for it', () => {
    const source = noduleSource();
    expect(text(read(source).attributes, 'VerificationFlag')).toBe('UNVERIFIED');
    const verified = read({ ...source, verifier: { name: '王^小东', organisation: 'Spital Zürich', at: new Date('2026-11-29T13:00:00Z') } });
    expect(text(verified.attributes, 'VerificationFlag')).toBe('VERIFIED');
    const [observer] = sequence(verified.attributes, 'VerifyingObserverSequence');
    expect([text(observer ?? {}, 'VerifyingObserverName'), text(observer ?? {}, 'VerificationDateTime')]).toEqual(['王^小东', '20261129130000+0000']);
    expect(childrenNamed(verified.root, NAMES.personName)).toHaveLength(1);
  });

  it('names the report before it, in the same series', () => {
    const source = noduleSource();
    const before = srIdentity(source);
    const { bytes, seriesInstanceUid, sopInstanceUid } = writeSr({ ...source, version: 2 }, SEG, [before]);
    expect(seriesInstanceUid).toBe(before.seriesInstanceUid);
    expect(sopInstanceUid).not.toBe(before.sopInstanceUid);
    expect(checkSr(bytes, { ...source, version: 2 }, SEG)).toEqual([]);
    const [study] = sequence(parseInstanceBytes(bytes).attributes, 'PredecessorDocumentsSequence');
    expect(JSON.stringify(study)).toContain(before.sopInstanceUid);
  });

  it('has its dates in the time zone of the study', () => {
    const { attributes } = read(xraySource({ TimezoneOffsetFromUTC: '+1300' }), null);
    expect([text(attributes, 'ContentDate'), text(attributes, 'ContentTime')]).toEqual(['20261130', '013456']);
  });

  it('lists all images and the segmentation as evidence', () => {
    const source = noduleSource();
    const listed = sequence(read(source).attributes, 'CurrentRequestedProcedureEvidenceSequence').flatMap((study) => sequence(study, 'ReferencedSeriesSequence')).flatMap((series) => sequence(series, 'ReferencedSOPSequence'));
    expect(listed).toHaveLength(source.instances.length + 1);
  });

  it('is the same for the same result', () => {
    expect(Buffer.from(writeSr(noduleSource(), SEG).bytes).equals(Buffer.from(writeSr(noduleSource(), SEG).bytes))).toBe(true);
  });

  it('has a code for words that nobody knows', () => {
    const source = noduleSource({ count: 1 });
    const odd = source.findings.map((finding) => ({
      ...finding,
      code: { system: 'https://codes.example/of-a-hospital', value: 'a code of more than sixteen characters', meaning: 'm'.repeat(90) },
      measurements: [{ name: 'constructor', value: 1 / 3, unit: 'parsec' }, { name: 'back\\slash and much too long for any code of the standard and for more than that', value: -1e-30, unit: '' }],
      attributes: [{ name: 'toString', value: 'hasOwnProperty' }, { name: '', value: '' }],
    }));
    const { groups } = read({ ...source, findings: odd });
    expect(codeIn(childrenNamed(groups[0] ?? readTree({}), NAMES.finding)[0]?.json ?? {}, 'ConceptCodeSequence')).toEqual({ value: 'a code of more than sixteen characters', scheme: '99CODESEXAMPLEOF', meaning: 'm'.repeat(64) });
  });
});
