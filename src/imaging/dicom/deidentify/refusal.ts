/** Why an instance is left out of an export. Stable: callers program against them. */
export const REFUSALS = {
  'audio': 'Sound may hold spoken names',
  'burned-in-annotation': 'The image declares annotations in its pixels, and no template tells where',
  'encapsulated-document': 'A document may name the patient anywhere',
  'too-many-names': 'More people are named than can be looked for',
  'not-readable-in-full': 'A sequence is too long to be looked into',
  'pixel-cleaning-unsupported': 'Pixels of this coding cannot be blacked out',
  'raw-data': 'Raw data are known to their vendor only',
  'screen-capture': 'Screen captures show names, and no template tells where',
  'sop-class-unsupported': 'Nothing is known about what such objects hold',
  'ultrasound-without-regions': 'Neither the image nor a template tells where the ultrasound lies',
  'video': 'Video cannot be blacked out',
  'visible-light': 'Photographs and endoscopy may show names or faces, and the image does not declare that it has no annotations',
  'whole-slide-label': 'The label of a slide names its patient',
} as const satisfies Record<string, string>;

export type RefusalCode = keyof typeof REFUSALS;

/** Thrown for an instance that cannot be de-identified. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(readonly code: RefusalCode) {
    super(REFUSALS[code]);
  }
}
