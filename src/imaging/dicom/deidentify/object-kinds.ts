import { Refusal, type RefusalCode } from './refusal.js';

/** What the pixels of an object may show beside the patient's inside. */
export type ObjectKind =
  /** Acquired by a device that writes nothing into the pixels, unless the image says so. */
  | 'image'
  /** A picture of a screen or a sheet: names are likely. */
  | 'capture'
  | 'ultrasound'
  /** Photographs, endoscopy, the eye. */
  | 'visible-light'
  | 'whole-slide'
  /** Measurements, masks, references, curves: no picture of anything that could be read. */
  | 'data';

const STORAGE = '1.2.840.10008.5.1.4.1.1.';

/** Storage SOP Classes behind their common root. @see PS3.4 table B.5-1 */
const KINDS: Readonly<Record<ObjectKind, readonly string[]>> = {
  'image': [
    '1', '1.1', '1.1.1', '1.2', '1.2.1', '1.3', '1.3.1', '2', '2.1', '2.2', '4', '4.1', '4.3', '4.4', '5', '12.1', '12.1.1', '12.2', '12.2.1', '12.3', '13.1.1', '13.1.2', '13.1.3', '13.1.4', '13.1.5',
    '14.1', '14.2', '20', '128', '128.1', '130', '481.1',
  ],
  'capture': ['7', '7.1', '7.2', '7.3', '7.4'],
  'ultrasound': ['3', '3.1', '6', '6.1', '6.2', '6.3'],
  'visible-light': ['77.1.1', '77.1.2', '77.1.3', '77.1.4', '77.1.5.1', '77.1.5.2', '77.1.5.4', '77.1.5.5', '77.1.5.6', '77.1.5.7', '77.1.5.8', '77.1.7', '77.1.8', '77.1.9', '82.1'],
  'whole-slide': ['77.1.6'],
  'data': [
    '4.2', '30', '67', '66.1', '66.2', '66.3', '66.4', '66.5', '66.6', '66.7', '66.8', '68.1', '68.2', '77.1.5.3', '90.1', '91.1',
    '9.1.1', '9.1.2', '9.1.3', '9.1.4', '9.2.1', '9.3.1', '9.5.1', '9.6.1', '9.6.2', '9.7.1', '9.7.2', '9.7.3', '9.7.4', '9.8.1', '9.100.1', '9.100.2',
    '11.1', '11.2', '11.3', '11.4', '11.5', '11.6', '11.7', '11.8', '11.9', '11.10', '11.11', '11.12',
    '78.1', '78.2', '78.3', '78.4', '78.5', '78.6', '78.7', '78.8', '79.1', '80.1', '81.1', '88.1', '88.2', '88.3', '88.4', '88.11', '88.22', '88.33', '88.34', '88.35', '88.40', '88.50', '88.59', '88.65', '88.67', '88.68', '88.69', '88.70',
    '88.71', '88.72', '88.73', '88.74', '88.75', '88.76', '481.2', '481.3', '481.4', '481.5', '481.6', '481.7', '481.8', '481.9', '481.10', '481.11', '481.12', '481.13', '481.14', '481.15', '481.16', '481.17', '481.18', '481.19',
    '481.20', '481.21', '481.22', '481.23', '481.24', '481.25',
  ],
};

const REFUSED: Readonly<Record<string, RefusalCode>> = {
  '9.4.1': 'audio', '9.4.2': 'audio',
  '66': 'raw-data',
  '77.1.1.1': 'video', '77.1.2.1': 'video', '77.1.4.1': 'video',
  '104.1': 'encapsulated-document', '104.2': 'encapsulated-document', '104.3': 'encapsulated-document', '104.4': 'encapsulated-document', '104.5': 'encapsulated-document',
};

const kinds = new Map(Object.entries(KINDS).flatMap(([kind, classes]) => classes.map((one) => [one, kind as ObjectKind] as const)));

/** @throws Refusal for classes that are never exported, and for those of which nothing is known */
export function objectKindOf(sopClassUid: string): ObjectKind {
  const behind = sopClassUid.startsWith(STORAGE) ? sopClassUid.slice(STORAGE.length) : '';
  const kind = kinds.get(behind);
  if (kind === undefined) throw new Refusal((Object.hasOwn(REFUSED, behind) ? REFUSED[behind] : undefined) ?? 'sop-class-unsupported');
  return kind;
}
