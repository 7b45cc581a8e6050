import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../../test/support/product.js';
import { studyInputOf } from '../../../test/support/dicom-volumes.js';
import { CATALOG } from '../../imaging/analyses/catalog.js';
import { text } from '../../imaging/dicom/attributes.js';
import { parseInstanceBytes } from '../../imaging/dicom/header.js';
import { parseManifest, type Manifest } from '../../imaging/model/manifest.js';
import { phantomFor, type PhantomStudy } from './phantoms.js';

const PACKS = ['models/chest-xray-pneumonia', 'models/chest-xray-adult', 'models/lung-nodule-reference', 'models/brain-tumour-reference', 'test/model-packs/nih15', 'test/model-packs/lung-dlwpt', 'test/model-packs/brats17'];

const manifestOf = (pack: string): Manifest => parseManifest(JSON.parse(readFileSync(join(ROOT, pack, 'manifest.json'), 'utf8')));

function phantomOf({ analysis, domain }: Pick<Manifest, 'analysis' | 'domain'>): PhantomStudy {
  const plan = phantomFor(analysis, domain);
  if (typeof plan === 'string') throw new Error(plan);
  return plan.make('SELFTEST-1');
}

describe('a phantom study', () => {
  it.each(PACKS)('is what the model of %s was made for', (pack) => {
    const manifest = manifestOf(pack);
    const study = studyInputOf([...phantomOf(manifest).objects]);
    expect(CATALOG[manifest.analysis]?.select(study, manifest)).toMatchObject({ kind: 'selected' });
  });

  it.each(PACKS)('says in every object whose it is, for %s', (pack) => {
    const { studyInstanceUid, columns, rows, objects } = phantomOf(manifestOf(pack));
    expect(new Set(objects.map(({ sopInstanceUid }) => sopInstanceUid)).size).toBe(objects.length);
    for (const { bytes, sopInstanceUid, seriesInstanceUid } of objects) {
      const parsed = parseInstanceBytes(bytes);
      expect(parsed).toMatchObject({ studyInstanceUid, seriesInstanceUid, sopInstanceUid });
      expect(['PatientID', 'PatientName', 'Columns', 'Rows', 'BurnedInAnnotation'].map((keyword) => text(parsed.attributes, keyword))).toEqual(['SELFTEST-1', 'Selftest^Phantom', String(columns), String(rows), 'NO']);
    }
  });

  it('is shared by models that read the same', () => {
    const [one, other] = [phantomFor('lung-nodule-detection', { modalities: ['CT'] }), phantomFor('lung-nodule-detection', { ageYears: { min: 18, max: 120 } })];
    expect(typeof one !== 'string' && typeof other !== 'string' && one.key === other.key).toBe(true);
  });

  it('is not made where nobody knows how, with the reason', () => {
    expect(phantomFor('chest-xray-classification', { modalities: ['US'] })).toBe('It reads US; of that the self-test makes no phantom.');
    expect(phantomFor('retina-grading', {})).toContain('retina-grading');
  });
});
