import { describe, expect, it } from 'vitest';
import { criticalRulesSchema, criticalRulesThatHold, DEFAULT_CRITICAL_RULES, isCritical, type CriticalContent } from './critical.js';

const nodule = (longAxis: number, lungRads: string, score = 0.9): CriticalContent => ({
  findings: [{ kind: 'nodule', score, measurements: [{ name: 'longAxis', value: longAxis, unit: 'mm' }], attributes: [{ name: 'lungRads', value: lungRads }] }],
  labels: [],
});

describe('isCritical', () => {
  it('takes a large or very suspicious nodule for critical', () => {
    expect(isCritical(nodule(14.9, '4A'), DEFAULT_CRITICAL_RULES)).toBe(false);
    expect(isCritical(nodule(15, '4A'), DEFAULT_CRITICAL_RULES)).toBe(true);
    expect(criticalRulesThatHold(nodule(9, '4B'), DEFAULT_CRITICAL_RULES).map(({ id }) => id)).toEqual(['lung-rads']);
  });

  it('takes a tumour that shifts the midline for critical', () => {
    const shift = (value: number): CriticalContent => ({ labels: [], findings: [{ kind: 'tumour', score: 1, measurements: [{ name: 'midlineShift', value, unit: 'mm' }] }] });
    expect([4.9, 5].map((value) => isCritical(shift(value), DEFAULT_CRITICAL_RULES))).toEqual([false, true]);
  });

  it('takes a positive label for critical when the model marks it', () => {
    const content = (positive: boolean, criticalLabels: string[]): CriticalContent => ({ findings: [], labels: [{ name: 'Pneumothorax', probability: 0.7, positive }], criticalLabels });
    expect(isCritical(content(true, ['Pneumothorax']), DEFAULT_CRITICAL_RULES)).toBe(true);
    expect(isCritical(content(false, ['Pneumothorax']), DEFAULT_CRITICAL_RULES)).toBe(false);
    expect(isCritical(content(true, ['Mass']), DEFAULT_CRITICAL_RULES)).toBe(false);
  });

  it('follows the rules of an institution instead', () => {
    const rules = criticalRulesSchema.parse([{ id: 'sure-and-big', when: 'measurement', kind: 'nodule', measurement: 'longAxis', unit: 'mm', atLeast: 30, minScore: 0.8 }]);
    expect(isCritical(nodule(31, '4B', 0.7), rules)).toBe(false);
    expect(isCritical(nodule(31, '4B', 0.8), rules)).toBe(true);
    expect(isCritical(nodule(99, '4B'), [])).toBe(false);
  });

  it('refuses two rules of one name and unknown members', () => {
    const rule = { id: 'a', when: 'label' as const };
    expect(criticalRulesSchema.safeParse([rule, rule]).success).toBe(false);
    expect(criticalRulesSchema.safeParse([{ ...rule, above: 3 }]).success).toBe(false);
    expect(criticalRulesSchema.parse(DEFAULT_CRITICAL_RULES)).toEqual(DEFAULT_CRITICAL_RULES);
  });
});
