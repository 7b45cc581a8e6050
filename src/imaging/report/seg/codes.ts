import { ownEntry } from '../../../kernel/own-entry.js';
import type { Fields } from '../data-set.js';
import type { Finding } from '../finding.js';
import { dcm, lateralityOf, sct, subjectOf, type Concept } from '../sr/concepts.js';
import { codeItem } from '../sr/content.js';

/** CID 7162. */
export const ARTIFICIAL_INTELLIGENCE = dcm('123110', 'Artificial Intelligence');
/** CID 7203. */
export const SEGMENTATION = dcm('113076', 'Segmentation');
/** CID 7202. */
export const SOURCE_IMAGE = dcm('121322', 'Source image for image processing operation');

const LESION = sct('52988006', 'Lesion');

/** What segments are called, without case and numbers. @see PS3.16 CID 7159 */
const TYPES: Readonly<Record<string, Concept>> = {
  'nodule': sct('27925004', 'Nodule'),
  'mass': sct('4147007', 'Mass'),
  'tumour': sct('108369006', 'Neoplasm'),
  'whole tumour': sct('108369006', 'Neoplasm'),
  'tumour core': sct('86049000', 'Neoplasm, Primary'),
  'enhancing tumour': { scheme: 'NCIt', value: 'C113842', meaning: 'Enhancing Lesion' },
  'oedema': sct('79654002', 'Edema'),
  'peritumoural oedema': sct('79654002', 'Edema'),
  'necrosis': sct('6574001', 'Necrosis'),
};

/** The code of a segment that no finding and no label gives one: by its name, else a lesion. */
export function typeByName(name: string): Concept {
  const key = name.toLowerCase().replaceAll(/[\s_-]+/g, ' ').replaceAll('tumor', 'tumour').replace(/\bedema/, 'oedema').replace(/ \d+$/, '').trim();
  return ownEntry(TYPES, key) ?? LESION;
}

/** Where an analysis looks, with the side where it is known, as the report has it. */
export function anatomicRegion(analysis: string, finding: Finding | undefined): Fields {
  const side = finding && lateralityOf(finding);
  return { ...codeItem(subjectOf(analysis).site), ...(side && { AnatomicRegionModifierSequence: [codeItem(side)] }) };
}
