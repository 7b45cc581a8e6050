import { describe, expect, it } from 'vitest';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { imageClassifierSchema, type ImageClassifierManifest } from '../../model/manifests/image-classifier.js';
import type { StudyInput, StudyInstance } from '../analysis.js';
import { fits, select } from './eligibility.js';

const children: ImageClassifierManifest = imageClassifierSchema.parse({
  manifestVersion: 1, name: 'children', version: '1.0.0', title: 'x', license: 'x', intendedUse: 'x', analysis: 'chest-xray-classification', recipe: 'image-classifier',
  domain: { modalities: ['CR', 'DX'], bodyParts: ['CHEST'], viewPositions: ['AP', 'PA'], ageYears: { min: 1, max: 5 } },
  files: [{ path: 'model.onnx', sha256: '0'.repeat(64) }], input: { name: 'image', shape: ['batch', 1, 28, 28], type: 'float32' }, outputs: { logits: { name: 'logits', shape: ['batch', 1] } },
  preprocessing: { crop: 'none', resize: { height: 28, width: 28, interpolation: 'area' }, scale: 255, mean: [0], std: [1] },
  postprocessing: { activation: 'sigmoid', calibration: { method: 'none' } },
  labels: [{ index: 0, name: 'Pneumonia', code: { system: 'x', value: 'y', meaning: 'z' }, threshold: 0.5 }], validation: [],
});
const large: ImageClassifierManifest = { ...children, input: { ...children.input, shape: ['batch', 1, 224, 224] } };

interface Facts { uid?: string; modality?: string; age?: string; view?: string; bodyPart?: string; side?: number; sopClass?: string; time?: string; intent?: string; viewCode?: string }

function instance({ uid = '1.2.3', age = '003Y', view, bodyPart, side = 512, sopClass = '1.2.840.10008.5.1.4.1.1.1.1', time, intent, viewCode }: Facts): StudyInstance {
  const attributes: DicomJson = {};
  const set = (tag: string, vr: string, value: string | undefined): void => { if (value !== undefined) attributes[tag] = { vr, Value: [value] }; };
  set('00101010', 'AS', age === '' ? undefined : age);
  set('00185101', 'CS', view);
  set('00180015', 'CS', bodyPart);
  set('00080032', 'TM', time);
  set('00080068', 'CS', intent);
  if (viewCode !== undefined) attributes['00540220'] = { vr: 'SQ', Value: [{ '00080100': { vr: 'SH', Value: [viewCode] } }] };
  return { sopInstanceUid: uid, sopClassUid: sopClass, instanceNumber: 1, rows: side, columns: side, attributes };
}

const study = (...images: Facts[]): StudyInput => ({ series: images.map((facts, i) => ({ seriesInstanceUid: `1.2.${String(i)}`, modality: facts.modality ?? 'DX', instances: [instance(facts)] })) });

describe('select', () => {
  const child: Facts = { bodyPart: 'CHEST', view: 'PA' };

  it.each<[string, Facts, string]>([
    ['takes a frontal chest of a child', child, 'selected'],
    ['takes one that names neither view nor body part', {}, 'selected'],
    ['takes a child up to its sixth birthday', { ...child, age: '005Y' }, 'selected'],
    ['counts months', { ...child, age: '013M' }, 'selected'],
    ['refuses an infant', { ...child, age: '011M' }, 'outside-model-domain'],
    ['refuses an adult', { ...child, age: '050Y' }, 'outside-model-domain'],
    ['refuses an unknown age', { ...child, age: '' }, 'outside-model-domain'],
    ['refuses a lateral view', { ...child, view: 'LL' }, 'outside-model-domain'],
    ['reads the view from its code', { bodyPart: 'CHEST', viewCode: '399173006' }, 'outside-model-domain'],
    ['refuses another modality', { ...child, modality: 'CT' }, 'outside-model-domain'],
    ['refuses a dental image', { ...child, modality: 'PX' }, 'outside-model-domain'],
    ['refuses another body part', { ...child, bodyPart: 'HAND' }, 'wrong-body-part'],
    ['knows other names of the chest', { ...child, bodyPart: 'Thorax' }, 'selected'],
    ['takes a small image when the network wants no more', { ...child, side: 28 }, 'selected'],
    ['refuses an image that is smaller than the network wants', { ...child, side: 27 }, 'low-image-quality'],
  ])('%s', (_, facts, expected) => {
    const selection = select(study(facts), children);
    expect(selection.kind === 'selected' ? 'selected' : selection.code).toBe(expected);
  });

  it('wants 64 pixels for networks with large inputs', () => {
    expect(select(study({ ...child, side: 63 }), large)).toMatchObject({ code: 'low-image-quality' });
    expect(select(study({ ...child, side: 64 }), large)).toMatchObject({ kind: 'selected' });
  });

  it('says what is outside and what the model is for, and no birth date', () => {
    expect(select(study({ ...child, age: '050Y' }), children)).toEqual({ kind: 'not-analysable', code: 'outside-model-domain', detail: 'The patient is 50 years old; this model is for ages of 1 to 5 years.' });
    expect(select(study({ ...child, modality: 'CT' }), children)).toMatchObject({ detail: 'The study has images of CT; this model reads CR and DX.' });
    expect(select({ series: [] }, children)).toMatchObject({ code: 'no-suitable-image' });
  });

  it.each<[string, Facts[], string]>([
    ['PA before AP', [{ ...child, uid: '1.1', view: 'AP' }, { ...child, uid: '1.2' }], '1.2'],
    ['a frontal view before a lateral one', [{ ...child, uid: '1.1', view: 'LATERAL' }, { ...child, uid: '1.2', view: 'AP' }], '1.2'],
    ['a radiograph before a secondary capture', [{ ...child, uid: '1.1', sopClass: '1.2.840.10008.5.1.4.1.1.7', time: '120000' }, { ...child, uid: '1.2', time: '110000' }], '1.2'],
    ['the newest', [{ ...child, uid: '1.1', time: '110000' }, { ...child, uid: '1.2', time: '120000' }], '1.2'],
    ['for presentation before for processing', [{ ...child, uid: '1.1', intent: 'FOR PROCESSING' }, { ...child, uid: '1.2', intent: 'FOR PRESENTATION' }], '1.2'],
  ])('prefers %s', (_, images, expected) => {
    for (const order of [images, [...images].reverse()]) expect(select(study(...order), children)).toMatchObject({ kind: 'selected', series: [{ role: 'radiograph', frames: [{ sopInstanceUid: expected, frame: 1 }] }] });
  });
});

describe('fits', () => {
  it('looks at modality and body part alone', () => {
    expect(fits(study({ bodyPart: 'CHEST', age: '050Y' }), children)).toBe(true);
    expect(fits(study({ bodyPart: 'HAND' }), children)).toBe(false);
    expect(fits(study({ modality: 'MR', bodyPart: 'CHEST' }), children)).toBe(false);
  });
});
