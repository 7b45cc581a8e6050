import { describe, expect, it } from 'vitest';
import type { StudyInput } from '../../../imaging/analyses/analysis.js';
import { evaluateRules } from './evaluate.js';
import type { Rule } from './rule.js';

const attributes = (values: Record<string, string>): StudyInput['series'][number]['instances'][number]['attributes'] =>
  Object.fromEntries(Object.entries(values).map(([tag, value]) => [tag, { vr: 'LO', Value: [value] }]));
const series = (seriesInstanceUid: string, modality: string, values: Record<string, string>): StudyInput['series'][number] =>
  ({ seriesInstanceUid, modality, instances: [{ sopInstanceUid: `${seriesInstanceUid}.1`, sopClassUid: '1', instanceNumber: 1, rows: 1, columns: 1, attributes: attributes({ '00080080': 'St. Anna Clinic', '00081030': 'CT Thorax low dose', ...values }) }] });
const study: StudyInput = {
  series: [series('1.1', 'CT', { '00180015': 'CHEST', '0008103E': 'Lung 1.25', '00081010': 'CT_ER_1' }), series('1.2', 'CT', { '00180015': 'ABDOMEN', '0008103E': 'Soft 5.0', '00081010': 'CT_ER_1' })],
};
const rule = (given: Partial<Rule>): Rule => ({ id: given.name ?? 'r', name: 'r', enabled: true, last: false, conditions: {}, plan: [{ analysis: 'lung-nodule-detection', priority: 'routine' }], ...given });

describe('routing rules', () => {
  it('want nothing else than every analysis that fits while none is enabled', () => {
    expect(evaluateRules([], study).wanted).toBeUndefined();
    expect(evaluateRules([rule({ enabled: false })], study)).toMatchObject({ wanted: undefined, evaluations: [{ outcome: 'disabled' }] });
  });

  it('match when one series meets every condition, and say which', () => {
    const { wanted, evaluations } = evaluateRules([rule({ name: 'er', conditions: { modalities: ['CT'], bodyParts: ['chest'], studyDescriptions: ['*thorax*'], stationNames: ['ct_er_?'], institutionNames: ['*clinic'] }, plan: [{ analysis: 'lung-nodule-detection', priority: 'stat' }] })], study);
    expect(wanted).toEqual([{ analysis: 'lung-nodule-detection', model: undefined, priority: 'stat', ruleId: 'er' }]);
    expect(evaluations[0]).toMatchObject({ outcome: 'matched', seriesInstanceUids: ['1.1'], why: 'One series meets every condition.' });
  });

  it('say why they do not match', () => {
    const { wanted, evaluations } = evaluateRules([
      rule({ conditions: { bodyParts: ['HEAD'], aeTitles: ['X'] } }),
      rule({ conditions: { bodyParts: ['CHEST'], seriesDescriptions: ['Soft*'] } }),
    ], study);
    expect(wanted).toEqual([]);
    expect(evaluations.map(({ why }) => why)).toEqual(['No series meets: bodyParts, aeTitles.', 'Each condition is met by some series, but no series meets all of them.']);
    expect(evaluations[0]?.checks).toEqual([{ condition: 'bodyParts', met: false, found: ['CHEST', 'ABDOMEN'] }, { condition: 'aeTitles', met: false, found: [] }]);
  });

  it('let the first that matches say how an analysis is done, and the last end the search', () => {
    const { wanted, evaluations } = evaluateRules([
      rule({ name: 'a', plan: [{ analysis: 'lung-nodule-detection', priority: 'stat', model: 'x@1.0.0' }] }),
      rule({ name: 'b', last: true, plan: [{ analysis: 'lung-nodule-detection', priority: 'research' }, { analysis: 'brain-tumour-segmentation', priority: 'research' }] }),
      rule({ name: 'c', plan: [{ analysis: 'chest-xray-classification', priority: 'stat' }] }),
    ], study);
    expect(wanted?.map(({ analysis, priority, model }) => [analysis, priority, model])).toEqual([['lung-nodule-detection', 'stat', 'x@1.0.0'], ['brain-tumour-segmentation', 'research', undefined]]);
    expect(evaluations[2]).toMatchObject({ outcome: 'not-reached', why: 'The rule "b" matched and is the last one.' });
  });
});
