import { describe, expect, it } from 'vitest';
import type { Finding } from './finding.js';
import { decide, decisionSchema, letStand, MOST_FINDINGS, outcomeOf, standing, type Decision, type ReviewedContent } from './review.js';

const code = { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' };
const A = '0198c0de-0000-7000-8000-00000000000a';
const nodule: Finding = { id: A, kind: 'nodule', code, score: 0.8, location: { frameOfReferenceUid: '1.2', center: [0, 0, 0], sopInstanceUid: '1.2.3', frame: 4 }, measurements: [{ name: 'diameter', value: 8, unit: 'mm' }] };
const original: ReviewedContent = { findings: [nodule], labels: [{ name: 'Mass', probability: 0.3, threshold: 0.5, positive: false }], segments: [{ number: 1, name: 'Whole tumour', volumeMl: 40 }] };
const by = { by: A, at: '2026-11-21T10:00:00.000Z', version: 2 };

let made = 0;
const apply = (current: ReviewedContent, ...decisions: Decision[]): ReviewedContent => decide(original, current, decisions, by, { framesOf: (uid) => (uid === '1.2.3' ? 10 : undefined), newId: () => `0198c0de-0000-7000-8000-${String(++made).padStart(12, '0')}` });

describe('decisions about a result', () => {
  it('replace those before: accepting goes back to what the model made', () => {
    const edited = apply(original, { decision: 'edit', finding: A, measurements: [{ name: 'diameter', value: 9.5, unit: 'mm' }, { name: 'solid', value: 4, unit: 'mm' }] });
    expect(edited.findings[0]).toMatchObject({ measurements: [{ name: 'diameter', value: 9.5 }, { name: 'solid', value: 4 }], review: { state: 'edited' } });
    const rejected = apply(edited, { decision: 'reject', finding: A, reason: 'artefact' });
    expect(standing(rejected.findings)).toEqual([]);
    expect(apply(rejected, { decision: 'accept', finding: A }).findings[0]).toEqual({ ...nodule, review: { state: 'accepted', ...by } });
    expect(original.findings[0]).toBe(nodule);
  });

  it('leave a person’s own finding one, edited or taken back', () => {
    const added = apply(original, { decision: 'add', kind: 'nodule', code });
    const id = added.findings[1]?.id ?? '';
    expect(added.findings[1]).toEqual({ id, kind: 'nodule', code, score: 1, measurements: [], review: { state: 'added', ...by } });
    expect(apply(added, { decision: 'edit', finding: id, attributes: [{ name: 'side', value: 'left' }] }).findings[1]).toMatchObject({ attributes: [{ name: 'side', value: 'left' }], review: { state: 'added' } });
    expect(standing(apply(added, { decision: 'reject', finding: id, reason: 'duplicate' }).findings)).toEqual([nodule]);
  });

  it('turn a label round, and back', () => {
    const disagreed = apply(original, { decision: 'label', label: 'Mass', agrees: false }, { decision: 'segment', segment: 1, agrees: false });
    expect(disagreed.labels[0]).toMatchObject({ positive: true, probability: 0.3, review: { state: 'disagreed' } });
    expect(disagreed.segments[0]?.review?.state).toBe('disagreed');
    expect(apply(disagreed, { decision: 'label', label: 'Mass', agrees: false }).labels[0]?.positive).toBe(true);
    expect(apply(disagreed, { decision: 'label', label: 'Mass', agrees: true }).labels[0]?.positive).toBe(false);
  });

  it('are bounded in number', () => {
    const many = { ...original, findings: Array.from({ length: MOST_FINDINGS }, () => nodule) };
    expect(() => apply(many, { decision: 'add', kind: 'nodule', code })).toThrow(expect.objectContaining({ code: 'invalid-body' }));
  });

  it('are of a form', () => {
    for (const wrong of [null, [], 'accept', {}, { decision: 'accept' }, { decision: 'accept', finding: 7 }, { decision: 'label', label: 'Mass', agrees: 'yes' }, { decision: 'edit', finding: A, measurements: [] },
      { decision: 'add', kind: '<b>', code }, { decision: 'add', kind: 'nodule', code, score: 1 }, { decision: 'edit', finding: A, location: { sopInstanceUid: '1.2.3', frame: 0 } },
      { decision: 'edit', finding: A, measurements: [{ name: 'diameter', value: Infinity, unit: 'mm' }] }]) expect(decisionSchema.safeParse(wrong).success, JSON.stringify(wrong)).toBe(false);
  });
});

describe('the outcome of a review', () => {
  const accept: Decision = { decision: 'accept', finding: A };
  const reject: Decision = { decision: 'reject', finding: A, reason: 'artefact' };
  const of = (...decisions: Decision[]): string | undefined => outcomeOf(original, apply(original, ...decisions), by.version);

  it('is agreement, rejection, or else a correction', () => {
    expect(of(accept, { decision: 'label', label: 'Mass', agrees: true })).toBe('agreed');
    expect(of(reject, { decision: 'label', label: 'Mass', agrees: false })).toBe('rejected');
    expect(of(reject, { decision: 'label', label: 'Mass', agrees: true })).toBe('corrected');
    expect(of({ decision: 'edit', finding: A, measurements: [{ name: 'diameter', value: 9, unit: 'mm' }] })).toBe('corrected');
    expect(of(accept, { decision: 'add', kind: 'nodule', code })).toBe('corrected');
  });

  it('is only of what this version decides, and of what the model found', () => {
    const earlier = apply(original, reject);
    expect(outcomeOf(original, earlier, 3)).toBeUndefined();
    expect(outcomeOf(original, letStand(earlier, { ...by, version: 3 }), 3)).toBe('agreed');
    const added = apply(original, { decision: 'add', kind: 'nodule', code });
    const takenBack = decide(original, added, [{ decision: 'reject', finding: added.findings[1]?.id ?? '', reason: 'duplicate' }], { ...by, version: 3 }, { framesOf: () => undefined, newId: () => '' });
    expect(outcomeOf(original, takenBack, 3)).toBeUndefined();
  });
});

describe('signing', () => {
  it('lets stand what nobody decided, and says so', () => {
    const rejected = apply(original, { decision: 'reject', finding: A, reason: 'artefact' });
    const { findings, labels, segments } = letStand(rejected, { ...by, version: 3 });
    expect(findings[0]?.review).toEqual({ state: 'rejected', reason: 'artefact', ...by });
    expect([labels[0]?.review, segments[0]?.review]).toEqual([{ state: 'agreed', ...by, version: 3, bySignOff: true }, { state: 'agreed', ...by, version: 3, bySignOff: true }]);
  });
});
