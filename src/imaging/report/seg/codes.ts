import type { Finding } from '../finding.js';
import type { Fields } from '../data-set.js';

/** A coded concept as findings have it. */
export type Code = Finding['code'];

/** Designators that PS3.16 §8 gives coding schemes which are called otherwise elsewhere. */
const DESIGNATORS: Readonly<Record<string, string>> = { 'SNOMED-CT': 'SCT', 'SNOMED': 'SCT', 'LOINC': 'LN', 'RadLex': 'RADLEX' };

const SHORT_CODE = 16;
const LONG_STRING = 64;

/** An item of a code sequence. @see PS3.3 §8 */
export function codeItem({ system, value, meaning }: Code): Fields {
  return { [value.length > SHORT_CODE ? 'LongCodeValue' : 'CodeValue']: value, CodingSchemeDesignator: DESIGNATORS[system] ?? system, CodeMeaning: meaning.slice(0, LONG_STRING) };
}

const sct = (value: string, meaning: string): Code => ({ system: 'SNOMED-CT', value, meaning });
const dcm = (value: string, meaning: string): Code => ({ system: 'DCM', value, meaning });

/** Of what a segment is: CID 7150. Everything that the analyses segment is an abnormality. */
export const ABNORMAL_STRUCTURE = sct('49755003', 'Morphologically Abnormal Structure');
/** CID 7162. */
export const ARTIFICIAL_INTELLIGENCE = dcm('123110', 'Artificial Intelligence');
/** CID 7203. */
export const SEGMENTATION = dcm('113076', 'Segmentation');
/** CID 7202. */
export const SOURCE_IMAGE = dcm('121322', 'Source image for image processing operation');

const LESION = sct('52988006', 'Lesion');

/** What segments are called, without case and numbers. @see PS3.16 CID 7159 */
const TYPES: Readonly<Record<string, Code>> = {
  'nodule': sct('27925004', 'Nodule'),
  'mass': sct('4147007', 'Mass'),
  'tumour': sct('108369006', 'Neoplasm'),
  'whole tumour': sct('108369006', 'Neoplasm'),
  'tumour core': sct('86049000', 'Neoplasm, Primary'),
  'enhancing tumour': { system: 'NCIt', value: 'C113842', meaning: 'Enhancing Lesion' },
  'oedema': sct('79654002', 'Edema'),
  'peritumoural oedema': sct('79654002', 'Edema'),
  'necrosis': sct('6574001', 'Necrosis'),
};

/** The code of a segment that no finding and no label gives one: by its name, else a lesion. */
export function typeByName(name: string): Code {
  const key = name.toLowerCase().replaceAll(/[\s_-]+/g, ' ').replaceAll('tumor', 'tumour').replace(/\bedema/, 'oedema').replace(/ \d+$/, '').trim();
  return Object.hasOwn(TYPES, key) ? TYPES[key] ?? LESION : LESION;
}

const REGIONS: Readonly<Record<string, Code>> = { 'lung-nodule-detection': sct('39607008', 'Lung'), 'brain-tumour-segmentation': sct('12738006', 'Brain') };

/** Where the findings of an analysis lie, with the side where it is known; nothing for analyses that say nothing of it. */
export function anatomicRegion(analysis: string, finding: Finding | undefined): Fields | undefined {
  const region = REGIONS[analysis];
  if (region === undefined) return undefined;
  const side = finding?.attributes?.find(({ name }) => name === 'side')?.code;
  return { ...codeItem(region), ...(side && { AnatomicRegionModifierSequence: [codeItem(side)] }) };
}
