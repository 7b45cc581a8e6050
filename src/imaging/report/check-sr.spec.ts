import { describe, expect, it } from 'vitest';
import { noduleSource, SEG, tumourSource, xraySource } from '../../../test/support/sr-sources.js';
import { sequence, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { tagOf } from '../dicom/dictionary.js';
import { parseInstanceBytes } from '../dicom/header.js';
import { EXPLICIT_LITTLE } from '../dicom/transfer-syntax.js';
import { encodeDataSet, encodeFileHead } from '../dicom/write-data-set.js';
import { checkSr } from './check-sr.js';
import type { DerivedFault, DerivedSource } from './derived.js';
import { writeSr } from './sr.js';

/** The report of a source with something changed in its data set, encoded anew. */
function broken(source: DerivedSource, seg: typeof SEG | null, change: (attributes: DicomJson) => void): Uint8Array {
  const { attributes, sopClassUid, sopInstanceUid } = parseInstanceBytes(writeSr(source, seg).bytes);
  change(attributes);
  return new Uint8Array(Buffer.concat([encodeFileHead({ sopClassUid, sopInstanceUid, transferSyntaxUid: EXPLICIT_LITTLE }), ...encodeDataSet<Uint8Array>(attributes)]));
}

function faultsOf(source: DerivedSource, seg: typeof SEG | null, change: (attributes: DicomJson) => void): DerivedFault['check'][] {
  return [...new Set(checkSr(broken(source, seg, change), source, seg).map(({ check }) => check))];
}

const items = (json: DicomJson): DicomJson[] => sequence(json, 'ContentSequence');
const meaning = (json: DicomJson): string | undefined => sequence(json, 'ConceptNameCodeSequence').map((code) => text(code, 'CodeMeaning'))[0];

/** The first item of a name, wherever it is. */
function find(json: DicomJson, name: string): DicomJson {
  const found = search(json, name);
  if (found === undefined) throw new Error(`no item "${name}"`);
  return found;
}

function search(json: DicomJson, name: string): DicomJson | undefined {
  if (meaning(json) === name) return json;
  for (const child of items(json)) {
    const found = search(child, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

function set(json: DicomJson, keyword: string, ...values: (string | number)[]): void {
  const tag = tagOf(keyword);
  json[tag] = { vr: json[tag]?.vr ?? 'LO', Value: values };
}

function remove(json: DicomJson, keyword: string): void {
  Reflect.deleteProperty(json, tagOf(keyword));
}

/** The only item of a sequence. */
function only(json: DicomJson, keyword: string): DicomJson {
  const [item] = sequence(json, keyword);
  if (item === undefined) throw new Error(`no ${keyword}`);
  return item;
}

/** Moves the coordinates of the first centre (three axes) or region (two). */
function points(json: DicomJson, name: 'Center' | 'Image Region', move: (value: number, axis: number) => number): void {
  const item = find(json, name);
  set(item, 'GraphicData', ...(item[tagOf('GraphicData')]?.Value ?? []).map((value, n) => move(Number(value), n % (name === 'Center' ? 3 : 2))));
}

function withoutItem(json: DicomJson, name: string): void {
  for (const child of items(json)) withoutItem(child, name);
  const tag = tagOf('ContentSequence');
  const left = items(json).filter((child) => meaning(child) !== name);
  if (json[tag] !== undefined) json[tag] = { vr: 'SQ', Value: left };
}

describe('a report that is right', () => {
  it.each(['axial', 'oblique', 'reversed'] as const)('may leave, read and written by another encoder (%s)', (course) => {
    for (const source of [noduleSource({ course }), tumourSource({ course })]) expect(checkSr(broken(source, SEG, () => undefined), source, SEG)).toEqual([]);
  });
});

/** What is done to the report of two nodules, and the check that must see it. */
const BREAKS: readonly [what: string, check: DerivedFault['check'], change: (attributes: DicomJson) => void][] = [
  // Codes
  ['a name without its code value', 'code', (json) => { remove(only(find(json, 'Long axis'), 'ConceptNameCodeSequence'), 'CodeValue'); }],
  ['a name without its scheme', 'code', (json) => { remove(only(find(json, 'Volume'), 'ConceptNameCodeSequence'), 'CodingSchemeDesignator'); }],
  ['a name without its meaning', 'code', (json) => { remove(only(find(json, 'Finding Site'), 'ConceptNameCodeSequence'), 'CodeMeaning'); }],
  ['a name without any code', 'code', (json) => { remove(find(json, 'Diameter'), 'ConceptNameCodeSequence'); }],
  ['a finding without its code', 'code', (json) => { remove(find(json, 'Finding'), 'ConceptCodeSequence'); }],
  ['a finding with half a code', 'code', (json) => { remove(only(find(json, 'Finding'), 'ConceptCodeSequence'), 'CodeValue'); }],
  ['another finding', 'code', (json) => { set(only(find(json, 'Finding'), 'ConceptCodeSequence'), 'CodeValue', '233604007'); }],
  ['another site', 'code', (json) => { set(only(find(json, 'Finding Site'), 'ConceptCodeSequence'), 'CodeValue', '12738006'); }],
  ['the other side', 'code', (json) => { set(only(find(json, 'Laterality'), 'ConceptCodeSequence'), 'CodeValue', '24028007'); }],
  ['a unit of another scheme', 'code', (json) => { set(only(only(find(json, 'Volume'), 'MeasuredValueSequence'), 'MeasurementUnitsCodeSequence'), 'CodingSchemeDesignator', 'DCM'); }],
  // Template
  ['a number without its unit', 'template', (json) => { remove(only(find(json, 'Long axis'), 'MeasuredValueSequence'), 'MeasurementUnitsCodeSequence'); }],
  ['a number without its value', 'template', (json) => { remove(only(find(json, 'Long axis'), 'MeasuredValueSequence'), 'NumericValue'); }],
  ['a number without anything', 'template', (json) => { remove(find(json, 'Long axis'), 'MeasuredValueSequence'); }],
  ['a group without tracking UID', 'template', (json) => { withoutItem(find(json, 'Measurement Group'), 'Tracking Unique Identifier'); }],
  ['groups without tracking identifiers', 'template', (json) => { withoutItem(json, 'Tracking Identifier'); }],
  ['no language', 'template', (json) => { withoutItem(json, 'Language of Content Item and Descendants'); }],
  ['no observer', 'template', (json) => { withoutItem(json, 'Observer Type'); }],
  ['no device UID', 'template', (json) => { withoutItem(json, 'Device Observer UID'); }],
  ['no procedure', 'template', (json) => { withoutItem(json, 'Procedure reported'); }],
  ['no image library', 'template', (json) => { withoutItem(json, 'Image Library'); }],
  ['no measurements', 'template', (json) => { withoutItem(json, 'Imaging Measurements'); }],
  ['another template', 'template', (json) => { set(only(json, 'ContentTemplateSequence'), 'TemplateIdentifier', '2000'); }],
  ['another title', 'template', (json) => { set(only(json, 'ConceptNameCodeSequence'), 'CodeValue', '126001'); }],
  ['a group of an unknown template', 'template', (json) => { remove(find(json, 'Measurement Group'), 'ContentTemplateSequence'); }],
  ['another relationship', 'template', (json) => { set(find(json, 'Finding Site'), 'RelationshipType', 'CONTAINS'); }],
  ['a relationship that the object does not allow', 'template', (json) => { set(find(json, 'Long axis'), 'RelationshipType', 'HAS CONCEPT MOD'); }],
  ['another value type', 'template', (json) => { set(find(json, 'Tracking Unique Identifier'), 'ValueType', 'TEXT'); }],
  ['a tracking UID that is none', 'template', (json) => { set(find(json, 'Tracking Unique Identifier'), 'UID', 'nodule'); }],
  // References
  ['a segmentation that is another', 'reference', (json) => { set(only(find(json, 'Referenced Segment'), 'ReferencedSOPSequence'), 'ReferencedSOPInstanceUID', '2.25.99'); }],
  ['a segment that is not there', 'reference', (json) => { set(only(find(json, 'Referenced Segment'), 'ReferencedSOPSequence'), 'ReferencedSegmentNumber', 9); }],
  ['the segment of another finding', 'reference', (json) => { set(only(find(json, 'Referenced Segment'), 'ReferencedSOPSequence'), 'ReferencedSegmentNumber', 2); }],
  ['another series that was segmented', 'reference', (json) => { set(find(json, 'Source series for segmentation'), 'UID', '2.25.99'); }],
  ['an image that was not read', 'reference', (json) => { set(only(find(json, 'Source'), 'ReferencedSOPSequence'), 'ReferencedSOPInstanceUID', '2.25.99'); }],
  ['an image of another class', 'reference', (json) => { set(only(find(json, 'Source'), 'ReferencedSOPSequence'), 'ReferencedSOPClassUID', '1.2.840.10008.5.1.4.1.1.4'); }],
  ['a frame that is not there', 'reference', (json) => { set(only(find(json, 'Source'), 'ReferencedSOPSequence'), 'ReferencedFrameNumber', '2'); }],
  ['an image twice in the library', 'reference', (json) => { const group = find(json, 'Image Library Group'); group[tagOf('ContentSequence')]?.Value?.push(find(json, 'Source')); }],
  ['another frame of reference', 'reference', (json) => { set(find(json, 'Center'), 'ReferencedFrameOfReferenceUID', '2.25.99'); }],
  ['no evidence', 'reference', (json) => { remove(json, 'CurrentRequestedProcedureEvidenceSequence'); }],
  ['evidence of another study', 'reference', (json) => { set(only(json, 'CurrentRequestedProcedureEvidenceSequence'), 'StudyInstanceUID', '2.25.99'); }],
  ['evidence without a series', 'reference', (json) => { only(json, 'CurrentRequestedProcedureEvidenceSequence')[tagOf('ReferencedSeriesSequence')]?.Value?.pop(); }],
  // Geometry
  ['a centre with x turned round', 'geometry', (json) => { points(json, 'Center', (value, axis) => (axis === 0 ? -value : value)); }],
  ['a centre with y turned round', 'geometry', (json) => { points(json, 'Center', (value, axis) => (axis === 1 ? -value : value)); }],
  ['a centre with z turned round', 'geometry', (json) => { points(json, 'Center', (value, axis) => (axis === 2 ? -value : value)); }],
  ['a centre in RAS', 'geometry', (json) => { points(json, 'Center', (value, axis) => (axis < 2 ? -value : value)); }],
  ['a centre one slice further', 'geometry', (json) => { points(json, 'Center', (value, axis) => (axis === 2 ? value + 2.5 : value)); }],
  ['a centre a tenth of a millimetre aside', 'geometry', (json) => { points(json, 'Center', (value, axis) => (axis === 0 ? value + 0.1 : value)); }],
  ['a centre of two coordinates', 'geometry', (json) => { set(find(json, 'Center'), 'GraphicData', 1, 2); }],
  ['no centre', 'geometry', (json) => { withoutItem(json, 'Center'); }],
  ['a region with columns turned round', 'geometry', (json) => { points(json, 'Image Region', (value, axis) => (axis === 0 ? 48 - value : value)); }],
  ['a region with rows turned round', 'geometry', (json) => { points(json, 'Image Region', (value, axis) => (axis === 1 ? 40 - value : value)); }],
  ['a region with columns for rows', 'geometry', (json) => { const region = find(json, 'Image Region'); const data = (region[tagOf('GraphicData')]?.Value ?? []).map(Number); set(region, 'GraphicData', ...data.map((_, n) => (data[n ^ 1] ?? 0) + (n % 2))); }],
  ['a region half a pixel aside', 'geometry', (json) => { points(json, 'Image Region', (value) => value - 0.5); }],
  ['a region that is too large', 'geometry', (json) => { points(json, 'Image Region', (value) => 4.5 + 2 * (value - 4.5)); }],
  ['a region of too few points', 'geometry', (json) => { set(find(json, 'Image Region'), 'GraphicData', 1, 2, 3); }],
  ['a region without points', 'geometry', (json) => { remove(find(json, 'Image Region'), 'GraphicData'); }],
  ['a region of another shape', 'geometry', (json) => { set(find(json, 'Image Region'), 'GraphicType', 'POINT'); }],
  ['a region on another slice', 'reference', (json) => { const [image] = items(find(json, 'Image Region')); set(only(image ?? {}, 'ReferencedSOPSequence'), 'ReferencedSOPInstanceUID', text(only(find(json, 'Source'), 'ReferencedSOPSequence'), 'ReferencedSOPInstanceUID') ?? ''); }],
  // Measurements
  ['another value', 'measurement', (json) => { set(only(find(json, 'Volume'), 'MeasuredValueSequence'), 'NumericValue', '35'); }],
  ['a value that is a little off', 'measurement', (json) => { set(only(find(json, 'Long axis'), 'MeasuredValueSequence'), 'NumericValue', '4.01'); }],
  ['another unit', 'measurement', (json) => { set(only(only(find(json, 'Volume'), 'MeasuredValueSequence'), 'MeasurementUnitsCodeSequence'), 'CodeValue', 'mL'); }],
  ['another score', 'measurement', (json) => { set(only(find(json, 'Certainty of Finding'), 'MeasuredValueSequence'), 'NumericValue', '0.97'); }],
  ['a measurement less', 'measurement', (json) => { withoutItem(find(json, 'Measurement Group'), 'Short axis'); }],
  ['a measurement more', 'measurement', (json) => { const group = find(json, 'Measurement Group'); group[tagOf('ContentSequence')]?.Value?.push(find(json, 'Volume')); }],
  ['an evaluation less', 'measurement', (json) => { withoutItem(find(json, 'Measurement Group'), 'Zone of the lung'); }],
  ['another evaluation', 'measurement', (json) => { set(only(find(json, 'Lung-RADS v2022 category'), 'ConceptCodeSequence'), 'CodeValue', 'LUNG-RADS-2'); }],
  ['a group less', 'measurement', (json) => { const all = find(json, 'Imaging Measurements'); all[tagOf('ContentSequence')]?.Value?.splice(2, 2); }],
  ['tracking identifiers of another result', 'measurement', (json) => { set(find(json, 'Tracking Unique Identifier'), 'UID', '2.25.99'); }],
  // The object
  ['another patient', 'iod', (json) => { set(json, 'PatientID', 'SOMEBODY'); }],
  ['another name', 'iod', (json) => { json[tagOf('PatientName')] = { vr: 'PN', Value: [{ Alphabetic: 'Some^Body' }] }; }],
  ['another study', 'iod', (json) => { set(json, 'StudyInstanceUID', '2.25.99'); }],
  ['another instance', 'iod', (json) => { set(json, 'SOPInstanceUID', '2.25.99'); }],
  ['another class', 'iod', (json) => { set(json, 'SOPClassUID', '1.2.840.10008.5.1.4.1.1.88.33'); }],
  ['another modality', 'iod', (json) => { set(json, 'Modality', 'CT'); }],
  ['no patient', 'iod', (json) => { remove(json, 'PatientName'); }],
  ['no manufacturer', 'iod', (json) => { remove(json, 'Manufacturer'); }],
  ['no content date', 'iod', (json) => { remove(json, 'ContentDate'); }],
  ['an incomplete document', 'iod', (json) => { set(json, 'CompletionFlag', 'PARTIAL'); }],
  ['a verification that nobody gave', 'iod', (json) => { set(json, 'VerificationFlag', 'VERIFIED'); }],
  ['no content', 'template', (json) => { remove(json, 'ContentSequence'); }],
];

describe('a broken report is withheld for', () => {
  const source = noduleSource({ fields: { PatientID: 'P-1' } });

  it.each(BREAKS)('%s', (_what, check, change) => {
    expect(faultsOf(source, SEG, change)).toContain(check);
  });

  it('centres turned round in an oblique and in a reversed series', () => {
    for (const course of ['oblique', 'reversed'] as const) {
      for (const turned of [0, 1, 2]) expect(faultsOf(noduleSource({ course }), SEG, (json) => { points(json, 'Center', (value, axis) => (axis === turned ? -value : value)); })).toContain('geometry');
    }
  });

  it('labels that say the contrary, or of another probability', () => {
    const xray = xraySource();
    expect(faultsOf(xray, null, (json) => { set(only(find(json, 'Pneumonia'), 'ConceptCodeSequence'), 'CodeValue', '2667000'); })).toContain('measurement');
    expect(faultsOf(xray, null, (json) => { set(only(find(json, 'Certainty of Finding'), 'MeasuredValueSequence'), 'NumericValue', '39'); })).toContain('measurement');
    expect(faultsOf(xray, null, (json) => { set(find(json, 'Image Region'), 'GraphicData', 0, 0, 385, 0); })).toContain('geometry');
  });

  it('saying that nothing was found, or not saying it', () => {
    const nothing = noduleSource({ count: 0 });
    expect(checkSr(writeSr(nothing, null).bytes, nothing, null)).toEqual([]);
    expect(checkSr(writeSr(nothing, null).bytes, { ...source, instances: nothing.instances }, null).map(({ check }) => check)).toContain('measurement');
    expect(faultsOf(nothing, null, (json) => { set(only(find(json, 'Nodule'), 'ConceptCodeSequence'), 'CodeValue', '52101004'); })).toContain('measurement');
  });

  it('nobody who stands for a verified one', () => {
    const verified = { ...source, verifier: { name: 'A^B', organisation: 'C', at: new Date(0) } };
    expect(faultsOf(verified, SEG, (json) => { remove(json, 'VerifyingObserverSequence'); })).toContain('iod');
    expect(faultsOf(verified, SEG, (json) => { withoutItem(json, 'Person Observer Name'); })).toContain('template');
    expect(checkSr(writeSr(source, SEG).bytes, verified, SEG).map(({ check }) => check)).toContain('iod');
  });

  it('an algorithm for what a person found, and none for what a model found', () => {
    const added = { ...source, version: 2, findings: source.findings.map((finding) => ({ ...finding, review: { state: 'added' as const, by: finding.id, at: '2026-11-29T12:34:56Z', version: 2 } })) };
    expect(checkSr(writeSr(added, SEG).bytes, added, SEG)).toEqual([]);
    expect(checkSr(writeSr({ ...added, findings: source.findings }, SEG).bytes, added, SEG).map(({ check }) => check)).toContain('template');
    expect(faultsOf(source, SEG, (json) => { withoutItem(json, 'Algorithm Version'); })).toContain('template');
  });

  it('other words than those of an answer without a code', () => {
    const spoken = { ...source, findings: source.findings.map((finding) => ({ ...finding, attributes: [{ name: 'margin', value: 'smooth' }] })) };
    expect(checkSr(writeSr(spoken, SEG).bytes, spoken, SEG)).toEqual([]);
    expect(faultsOf(spoken, SEG, (json) => { set(find(json, 'margin'), 'TextValue', 'spiculated'); })).toEqual(['measurement']);
  });

  it('a source that went away since', () => {
    const [, ...rest] = source.instances;
    const named = new Set(source.findings.map(({ location }) => location?.sopInstanceUid));
    expect(checkSr(writeSr(source, SEG).bytes, { ...source, instances: rest }, SEG).map(({ check }) => check)).toContain('reference');
    const without = { ...source, instances: source.instances.filter(({ sopInstanceUid }) => !named.has(sopInstanceUid)) };
    expect(checkSr(writeSr(without, SEG).bytes, without, SEG).map(({ check }) => check)).toContain('reference');
  });

  it('a number that is none', () => {
    const odd = { ...source, findings: source.findings.map((finding) => ({ ...finding, measurements: [{ name: 'volume', value: NaN, unit: 'mm3' }] })) };
    expect(checkSr(writeSr(odd, SEG).bytes, odd, SEG).map(({ check }) => check)).toContain('template');
  });

  it('bytes that are none', () => {
    expect(checkSr(new Uint8Array(0), source, SEG)).toEqual([{ check: 'iod', detail: 'The object cannot be read: empty-file' }]);
    expect(checkSr(new Uint8Array(5000).fill(65), source, SEG).map(({ check }) => check)).toEqual(['iod']);
    const { bytes } = writeSr(source, SEG);
    expect(checkSr(bytes.subarray(0, bytes.length / 2), source, SEG).length).toBeGreaterThan(0);
  });

  it('with details that name no patient', () => {
    const known = noduleSource({ fields: { PatientID: 'SECRET-1', PatientName: 'Secret^Name' } });
    const faults = checkSr(writeSr(noduleSource(), SEG).bytes, known, SEG);
    expect(faults.length).toBeGreaterThan(0);
    expect(JSON.stringify(faults)).not.toMatch(/secret/i);
  });
});
