import { describe, expect, it } from 'vitest';
import { attributeValueText, measurementText, propertyName, valueText } from './measurement-text.js';

describe('valueText', () => {
  it.each([
    [{ value: 8.42, unit: 'mm' }, '8.4 mm'], [{ value: 5870, unit: 'mm3' }, '5,870 mm³'], [{ value: 1_234_567.8, unit: 'mm3' }, '1,234,568 mm³'], [{ value: 0.315, unit: 'ml' }, '0.32 mL'],
    [{ value: 124.04, unit: 'ml' }, '124.0 mL'], [{ value: -12.4, unit: 'HU' }, '−12 HU'], [{ value: -0.2, unit: 'HU' }, '0 HU'], [{ value: 3, unit: 'furlong' }, '3.0 furlong'],
  ])('writes %j as %s', (measurement, expected) => {
    expect(valueText(measurement)).toBe(expected);
  });
});

describe('names', () => {
  it('takes the words of a name apart', () => {
    expect(measurementText({ name: 'longAxis', value: 9.1, unit: 'mm' }, 'zh-CN')).toBe('长径 9.1 mm');
    expect(propertyName('enhancingPerpendicularDiameter', 'en')).toBe('Enhancing perpendicular diameter');
    expect(propertyName('enhancingPerpendicularDiameter', 'zh-CN')).toBe('强化垂直径');
    expect(propertyName('lungRads', 'en')).toBe('Lung-RADS (suggested)');
    expect(attributeValueText({ value: 'part-solid' }, 'zh-CN')).toBe('部分实性');
    expect(attributeValueText({ value: '4A' }, 'en')).toBe('4A');
    for (const language of ['en', 'zh-CN'] as const) expect([propertyName('constructor', language), attributeValueText({ value: 'constructor' }, language)]).toEqual(['Constructor', 'Constructor']);
  });

  it('takes none for what every object has', () => {
    for (const language of ['en', 'zh-CN'] as const) expect([propertyName('constructor', language), attributeValueText({ value: 'constructor' }, language), valueText({ value: 1, unit: 'constructor' })]).toEqual(['Constructor', 'Constructor', '1.0 constructor']);
  });
});
