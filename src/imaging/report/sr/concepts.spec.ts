import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { chestCt } from '../../../../test/support/chest-ct.js';
import { noduleSource, tumourSource, xraySource } from '../../../../test/support/sr-sources.js';
import { conclude as concludeTumours } from '../../analyses/brain-tumour/postprocess.js';
import { conclude as concludeNodules } from '../../analyses/lung-nodule/postprocess.js';
import { noduleFindingsSchema } from '../../model/manifests/nodule-findings.js';
import type { Finding } from '../finding.js';
import { attributeConcepts, conceptOf, measurementConcept, PRIVATE_SCHEME, unitConcept } from './concepts.js';

/** What the analyses themselves say of a nodule that is part solid, and of a tumour with all of its regions. */
function concluded(): Omit<Finding, 'id'>[] {
  const ct = chestCt({ size: [96, 80, 40], spacing: [1.5, 1.5, 2], balls: [{ centre: [50, 0, 0], radiusMm: 12, hu: -500 }, { centre: [50, 0, 0], radiusMm: 5, hu: 40 }] });
  const findings = noduleFindingsSchema.parse({ lungMask: { enabled: false } });
  const label = { code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' } };
  const centre = [(ct.size[0] - 1) / 2 + 50 / 1.5, (ct.size[1] - 1) / 2, (ct.size[2] - 1) / 2] as const;
  const nodules = concludeNodules(ct, { detections: [{ centre: [...centre], score: 0.9 }], details: {} }, { findings, label, seriesInstanceUid: '2.25.1' });
  const { segmentation } = tumourSource();
  if (segmentation === null) throw new Error('no segmentation');
  const regions = [['whole-tumour', [1, 2, 4]], ['tumour-core', [1, 4]], ['enhancing-tumour', [4]]] as const;
  const tumours = concludeTumours({ segmentation, score: 0.9, midline: { status: 'measured', shiftMm: 6, towards: 'left', shifted: true, symmetry: 0.9, slice: 3 }, details: {} }, {
    labels: regions.map(([name], index) => ({ index, name, code: label.code, threshold: 0.5, critical: false, enabled: true })),
    report: { segments: regions.map(([region, values], n) => ({ number: n + 1, label: n, region, values: [...values] })), minComponentMl: 0, connectivity: 26 },
  });
  return [...nodules.findings, ...tumours.findings];
}

describe('concepts', () => {
  it('are known for everything that the analyses measure and say', () => {
    const all = [...concluded(), ...noduleSource().findings, ...tumourSource().findings, ...xraySource().findings];
    expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(['nodule', 'tumour', 'label']));
    for (const { kind, measurements, attributes = [] } of all) {
      // A name that is not known becomes its own code.
      for (const { name } of measurements) expect(measurementConcept(kind, name).name.value).not.toBe(name);
      for (const { unit } of measurements) expect(unitConcept(unit).meaning).not.toBe(unit);
      for (const attribute of attributes.filter(({ name }) => name !== 'side')) {
        const { name, value } = attributeConcepts(attribute);
        expect([name.value, typeof value]).not.toContain(attribute.name);
        expect(typeof value).toBe('object');
      }
    }
  });

  it('of our own are documented, and no longer than a Code Value may be', () => {
    const code = readFileSync(new URL('./concepts.ts', import.meta.url), 'utf8');
    const own = [...code.matchAll(/ours\('([^']+)'/g)].map(([, value]) => value ?? '');
    expect(own.length).toBeGreaterThan(10);
    const page = readFileSync(new URL('../../../../docs/dicom-sr.md', import.meta.url), 'utf8');
    for (const value of own) {
      expect(value.length).toBeLessThanOrEqual(16);
      expect(page).toContain(value);
    }
  });

  it('have designators of DICOM', () => {
    const scheme = (system: string): string => conceptOf({ system, value: '1', meaning: 'one' }).scheme;
    expect(['SNOMED-CT', 'http://snomed.info/sct', 'LOINC', 'RADLEX', 'DCM', 'NCIt', '99HV-TEST'].map(scheme)).toEqual(['SCT', 'SCT', 'LN', 'RADLEX', 'DCM', 'NCIt', '99HV-TEST']);
    expect(scheme('urn:oid:1.2.3.4.5.6.7.8.9')).toMatch(/^99[0-9A-Z]{1,14}$/);
    expect(measurementConcept('nodule', 'hasOwnProperty').name).toEqual({ value: 'hasOwnProperty', scheme: PRIVATE_SCHEME, meaning: 'hasOwnProperty' });
  });
});
