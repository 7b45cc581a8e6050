import { describe, expect, it } from 'vitest';
import { noduleSource, SEG, xraySource } from '../../../test/support/sr-sources.js';
import { text } from '../dicom/attributes.js';
import { parseInstanceBytes } from '../dicom/header.js';
import { checkSr } from './check-sr.js';
import { composeReport } from './compose.js';
import type { DerivedSource } from './derived.js';
import { fhirDiagnosticReport } from './fhir/diagnostic-report.js';
import { fhirObservations } from './fhir/observation.js';
import type { FhirResultSource } from './fhir/result-source.js';
import { NAMES } from './sr/concepts.js';
import { childrenNamed, readTree } from './sr/tree.js';
import { writeSr } from './sr.js';
import { warningsOf } from './warnings.js';

const STRANGE = { score: 5, threshold: 4, strange: true };
const ENGLISH = 'The images look unlike those that the model was made with: judge its findings with care.';
const CHINESE = '图像与模型所依据的图像不相似，请谨慎判断其所见。';
const flagged = (source: DerivedSource): DerivedSource => ({ ...source, provenance: { ...source.provenance, outOfDistribution: STRANGE } });

describe('a strange input', () => {
  it('is a warning in the language of the reader, and an ordinary one is none', () => {
    expect(warningsOf({ outOfDistribution: STRANGE }, 'en')).toEqual([{ code: 'strange-input', text: ENGLISH }]);
    expect(warningsOf({ outOfDistribution: STRANGE }, 'zh-CN')).toEqual([{ code: 'strange-input', text: CHINESE }]);
    expect(warningsOf({ outOfDistribution: { ...STRANGE, strange: false } }, 'en')).toEqual([]);
    expect(warningsOf({}, 'en')).toEqual([]);
  });

  it.each([['measurements', noduleSource()], ['labels', xraySource()], ['nothing found', { ...noduleSource(), findings: [], segments: [], segmentation: null }]] as const)('stands in a structured report beside %s', (_, source) => {
    const strange = flagged(source);
    const { bytes } = writeSr(strange, source.segmentation ? SEG : null);
    expect(checkSr(bytes, strange, source.segmentation ? SEG : null)).toEqual([]);
    const root = readTree(parseInstanceBytes(bytes).attributes);
    expect(childrenNamed(root, NAMES.evaluations).flatMap((item) => childrenNamed(item, NAMES.comment)).map(({ json }) => text(json, 'TextValue'))).toContain(ENGLISH);
  });

  it('is missed in a structured report that does not say so', () => {
    const source = noduleSource();
    expect(checkSr(writeSr(source, SEG).bytes, flagged(source), SEG)).toContainEqual({ check: 'template', detail: 'The report lacks a warning' });
    expect(checkSr(writeSr(flagged(source), SEG).bytes, source, SEG)).toContainEqual({ check: 'template', detail: 'The report has neither measurements nor evaluations, or both' });
  });

  it('stands below the summary of a report', () => {
    const { resultId, analysis, createdAt, summary, findings, labels, segments, provenance } = flagged(xraySource());
    const content = { resultId, analysis, createdAt, summary, findings, labels, segments, provenance, status: 'preliminary' as const, attributes: {}, institution: 'General', pictures: [] };
    expect(composeReport(content, 'en').warnings).toEqual([ENGLISH]);
    expect(composeReport(content, 'zh-CN').warnings).toEqual([CHINESE]);
  });

  it('stands in FHIR with the conclusion, and with what the model found but not with what a person says', () => {
    const { resultId, analysis, createdAt, findings, labels, segments, provenance } = flagged(xraySource());
    const [first, ...others] = labels;
    if (!first) throw new Error('there is a label');
    const source: FhirResultSource = {
      id: resultId, analysis, createdAt, updatedAt: createdAt, status: 'preliminary', findings, segments, provenance, documents: [], verifier: null, signatures: [],
      labels: [{ ...first, review: { state: 'disagreed', by: 'x', at: '', version: 2 } }, ...others], study: { id: 'x', studyInstanceUid: '1.2', patientId: null, studyDate: null },
    };
    const reader = { base: 'https://hv.example', language: 'en' as const };
    const report = fhirDiagnosticReport(source, reader);
    expect(report.conclusion).toMatch(new RegExp(`\\. ${ENGLISH}$`));
    expect(report.text?.div).toContain(`<p>${ENGLISH}</p>`);
    const notes = fhirObservations(source, reader).map(({ method, note }) => [method?.text, note?.[0]?.text]);
    expect(notes).toContainEqual(['Image analysis by an AI model', ENGLISH]);
    expect(notes).toContainEqual(['Read by a person', undefined]);
  });
});
