import { ownEntry } from '../../../kernel/own-entry.js';
import { codeText, descriptionText } from '../element-text.js';
import type { Finding } from '../finding.js';

/** A code as PS3.3 §8 has it: value, Coding Scheme Designator, meaning. */
export interface Concept {
  value: string;
  scheme: string;
  meaning: string;
}

export const PRIVATE_SCHEME = '99HV';

export const dcm = (value: string, meaning: string): Concept => ({ value, scheme: 'DCM', meaning });
export const sct = (value: string, meaning: string): Concept => ({ value, scheme: 'SCT', meaning });
export const ucum = (value: string, meaning: string): Concept => ({ value, scheme: 'UCUM', meaning });
const ours = (value: string, meaning: string): Concept => ({ value, scheme: PRIVATE_SCHEME, meaning });

/** Names of items that TID 1500 and what it includes ask for. PS3.16 annexes A and D. */
export const NAMES = {
  report: dcm('126000', 'Imaging Measurement Report'),
  language: dcm('121049', 'Language of Content Item and Descendants'),
  observerType: dcm('121005', 'Observer Type'),
  personName: dcm('121008', 'Person Observer Name'),
  personOrganisation: dcm('121009', "Person Observer's Organization Name"),
  deviceUid: dcm('121012', 'Device Observer UID'),
  deviceName: dcm('121013', 'Device Observer Name'),
  deviceManufacturer: dcm('121014', 'Device Observer Manufacturer'),
  deviceModel: dcm('121015', 'Device Observer Model Name'),
  deviceSerial: dcm('121016', 'Device Observer Serial Number'),
  procedure: dcm('121058', 'Procedure reported'),
  imageLibrary: dcm('111028', 'Image Library'),
  imageLibraryGroup: dcm('126200', 'Image Library Group'),
  modality: dcm('121139', 'Modality'),
  studyDate: dcm('111060', 'Study Date'),
  frameOfReference: dcm('112227', 'Frame of Reference UID'),
  source: sct('260753009', 'Source'),
  measurements: dcm('126010', 'Imaging Measurements'),
  evaluations: { value: 'C0034375', scheme: 'UMLS', meaning: 'Qualitative Evaluations' },
  group: dcm('125007', 'Measurement Group'),
  trackingIdentifier: dcm('112039', 'Tracking Identifier'),
  trackingUid: dcm('112040', 'Tracking Unique Identifier'),
  category: sct('276214006', 'Finding category'),
  finding: dcm('121071', 'Finding'),
  site: sct('363698007', 'Finding Site'),
  laterality: sct('272741003', 'Laterality'),
  algorithmName: dcm('111001', 'Algorithm Name'),
  algorithmVersion: dcm('111003', 'Algorithm Version'),
  region: dcm('111030', 'Image Region'),
  center: dcm('111010', 'Center'),
  segment: dcm('121191', 'Referenced Segment'),
  segmentSeries: dcm('121232', 'Source series for segmentation'),
  sourceImage: dcm('121112', 'Source of Measurement'),
  derivation: dcm('121401', 'Derivation'),
  comment: dcm('121106', 'Comment'),
  certainty: dcm('111012', 'Certainty of Finding'),
  threshold: ours('DECISION-THRESH', 'Decision threshold of the model'),
} as const satisfies Record<string, Concept>;

export const VALUES = {
  english: { value: 'en', scheme: 'RFC5646', meaning: 'English' },
  person: dcm('121006', 'Person'),
  device: dcm('121007', 'Device'),
  abnormalStructure: sct('49755003', 'Morphologically Abnormal Structure'),
  clinicalFinding: sct('404684003', 'Clinical finding'),
  present: sct('52101004', 'Present'),
  absent: sct('2667000', 'Absent'),
  right: sct('24028007', 'Right'),
  left: sct('7771000', 'Left'),
  mean: sct('373098007', 'Mean'),
} as const satisfies Record<string, Concept>;

export const PERCENT = ucum('%', 'percent');

/** By the units that findings use. @see PS3.16 CID 7181 and the Unified Code for Units of Measure */
const UNITS: Readonly<Record<string, Concept>> = {
  mm: ucum('mm', 'millimeter'),
  mm2: ucum('mm2', 'square millimeter'),
  mm3: ucum('mm3', 'cubic millimeter'),
  ml: ucum('mL', 'milliliter'),
  HU: ucum("[hnsf'U]", 'Hounsfield unit'),
  '%': PERCENT,
  '1': ucum('1', 'no units'),
};

/** How a measurement is called, and what its value stands for: the mean of many, say. */
export interface MeasurementConcept {
  name: Concept;
  derivation?: Concept;
}

/** A measurement with the same name may mean another thing for another kind: a key with the kind goes first. Listed in docs/dicom-sr.md. */
const MEASUREMENTS: Readonly<Record<string, MeasurementConcept>> = {
  'nodule diameter': { name: sct('81827009', 'Diameter'), derivation: VALUES.mean },
  'tumour diameter': { name: sct('103339001', 'Long axis') },
  diameter: { name: sct('81827009', 'Diameter') },
  longAxis: { name: sct('103339001', 'Long axis') },
  shortAxis: { name: sct('103340004', 'Short axis') },
  perpendicularDiameter: { name: sct('103340004', 'Short axis') },
  volume: { name: sct('118565006', 'Volume') },
  meanAttenuation: { name: dcm('112031', 'Attenuation Coefficient'), derivation: VALUES.mean },
  solidDiameter: { name: ours('SOLID-DIAMETER', 'Diameter of the solid part'), derivation: VALUES.mean },
  coreVolume: { name: ours('CORE-VOLUME', 'Volume of the tumour core') },
  enhancingVolume: { name: ours('ENH-VOLUME', 'Volume of the enhancing tumour') },
  enhancingDiameter: { name: ours('ENH-LONG-AXIS', 'Long axis of the enhancing tumour') },
  enhancingPerpendicularDiameter: { name: ours('ENH-SHORT-AXIS', 'Short axis of the enhancing tumour') },
  midlineShift: { name: ours('MIDLINE-SHIFT', 'Midline shift') },
};

/** Measured over all voxels of a segment, not in one plane. */
const VOLUMETRIC: ReadonlySet<string> = new Set(['volume', 'coreVolume', 'enhancingVolume', 'meanAttenuation']);

interface AttributeConcept {
  name: Concept;
  values: Readonly<Record<string, Concept>>;
}

const ATTRIBUTES: Readonly<Record<string, AttributeConcept>> = {
  attenuation: { name: ours('ATTENUATION', 'Attenuation of the nodule'), values: {} },
  zone: { name: ours('LUNG-ZONE', 'Zone of the lung'), values: { upper: ours('ZONE-UPPER', 'Upper third of the lung'), middle: ours('ZONE-MIDDLE', 'Middle third of the lung'), lower: ours('ZONE-LOWER', 'Lower third of the lung') } },
  lungRads: {
    name: ours('LUNG-RADS', 'Lung-RADS v2022 category'),
    values: Object.fromEntries(['0', '1', '2', '3', '4A', '4B', '4X'].map((category) => [category, ours(`LUNG-RADS-${category}`, `Lung-RADS category ${category}`)])),
  },
  midlineShift: { name: ours('MIDLINE-SHIFTED', 'Midline shift of 5 mm or more'), values: { present: VALUES.present, absent: VALUES.absent } },
};

/** What every analysis looks for and where, for the words that the source does not say. */
interface Subject {
  site: Concept;
  category: Concept;
  /** LOINC. @see PS3.16 CID 100 */
  procedure: Concept;
  /** What a result without findings says is not there. */
  sought: Concept;
}

const SUBJECTS: Readonly<Record<string, Subject>> = {
  'lung-nodule-detection': { site: sct('39607008', 'Lung'), category: VALUES.abnormalStructure, procedure: { value: '24627-2', scheme: 'LN', meaning: 'CT Chest' }, sought: sct('27925004', 'Nodule') },
  'brain-tumour-segmentation': { site: sct('12738006', 'Brain'), category: VALUES.abnormalStructure, procedure: { value: '24590-2', scheme: 'LN', meaning: 'MR Brain' }, sought: sct('108369006', 'Neoplasm') },
  'chest-xray-classification': { site: sct('51185008', 'Thoracic structure'), category: VALUES.clinicalFinding, procedure: { value: '30745-4', scheme: 'LN', meaning: 'XR Chest Views' }, sought: VALUES.clinicalFinding },
};
const ANY_SUBJECT: Subject = { site: sct('38266002', 'Entire body'), category: VALUES.clinicalFinding, procedure: sct('363679005', 'Imaging'), sought: VALUES.clinicalFinding };

export function subjectOf(analysis: string): Subject {
  return SUBJECTS[analysis] ?? ANY_SUBJECT;
}

/** The code of a measurement. Names that the product does not know get a private code with their name for a value. */
export function measurementConcept(kind: string, name: string): MeasurementConcept {
  return ownEntry(MEASUREMENTS, `${kind} ${name}`) ?? ownEntry(MEASUREMENTS, name) ?? { name: unknown(name) };
}

export function isVolumetric(name: string): boolean {
  return VOLUMETRIC.has(name);
}

/** The code of a unit; UCUM writes most units as people do. */
export function unitConcept(unit: string): Concept {
  return ownEntry(UNITS, unit) ?? ucum(codeText(unit) || '1', descriptionText(unit) || 'no units');
}

/** An attribute as a question and a coded answer; an answer without a code is a text. */
export function attributeConcepts({ name, value, concept, code }: NonNullable<Finding['attributes']>[number]): { name: Concept; value: Concept | string } {
  const known = ownEntry(ATTRIBUTES, name);
  return {
    name: known?.name ?? (concept === undefined ? unknown(name) : conceptOf(concept)),
    value: code !== undefined ? conceptOf(code) : ownEntry(known?.values ?? {}, value) ?? value,
  };
}

/** The side that a finding lies on, where its attributes say so. */
export function lateralityOf({ attributes = [] }: Pick<Finding, 'attributes'>): Concept | undefined {
  const side = attributes.find(({ name }) => name === 'side')?.value;
  return side === 'right' ? VALUES.right : side === 'left' ? VALUES.left : undefined;
}

/** Names of coding systems as manifests and FHIR have them. @see PS3.16 table 8-1 */
const SCHEMES: Readonly<Record<string, string>> = {
  'SNOMED-CT': 'SCT', 'http://snomed.info/sct': 'SCT', LOINC: 'LN', 'http://loinc.org': 'LN', 'http://dicom.nema.org/resources/ontology/DCM': 'DCM',
  RadLex: 'RADLEX', 'http://radlex.org': 'RADLEX', 'http://unitsofmeasure.org': 'UCUM',
};

/** A finding's or a manifest's code. A system that DICOM has no designator for becomes a private one, as its own name allows. */
export function conceptOf({ system, value, meaning }: { system: string; value: string; meaning: string }): Concept {
  const short = codeText(value) || 'UNSPECIFIED';
  return { value: short, scheme: ownEntry(SCHEMES, system) ?? schemeOf(system), meaning: descriptionText(meaning) || short };
}

/** Sixteen characters; those that begin with 99 are for anyone to choose. */
function schemeOf(system: string): string {
  const text = codeText(system);
  if (text !== '' && text.length <= 16) return text;
  const words = text.replace(/^https?:\/\//, '').replaceAll(/[^A-Za-z0-9]/g, '').toUpperCase();
  return `99${words}`.slice(0, 16);
}

function unknown(name: string): Concept {
  const text = codeText(name) || 'UNNAMED';
  return ours(text, descriptionText(name) || text);
}
