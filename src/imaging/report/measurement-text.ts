import type { Language } from '../../kernel/errors.js';
import { ownEntry } from '../../kernel/own-entry.js';
import type { Attribute, Finding } from './finding.js';
import { displayNameOf } from './terms.js';

type Measurement = Finding['measurements'][number];

const CHINESE: Readonly<Record<string, string>> = {
  solidDiameter: '实性成分直径',
  lungRads: 'Lung-RADS 建议分类',
  side: '侧别',
  zone: '肺野',
  attenuation: '密度',
};
const ENGLISH: Readonly<Record<string, string>> = { lungRads: 'Lung-RADS (suggested)' };
const CHINESE_VALUES: Readonly<Record<string, string>> = { present: '有', absent: '无' };

/** Units as people write them. */
const UNITS: Readonly<Record<string, string>> = { mm2: 'mm²', mm3: 'mm³', ml: 'mL' };

/** "Diameter 8.4 mm". */
export function measurementText(measurement: Measurement, language: Language): string {
  return `${propertyName(measurement.name, language)} ${valueText(measurement)}`;
}

/** "8.4 mm", "5,870 mm³", "124.1 mL", "−12 HU". */
export function valueText({ value, unit }: Pick<Measurement, 'value' | 'unit'>): string {
  const digits = unit === 'mm3' || unit === 'mm2' || unit === 'HU' ? 0 : unit === 'ml' && Math.abs(value) < 1 ? 2 : 1;
  const [whole = '', fraction] = Math.abs(value).toFixed(digits).split('.');
  const grouped = whole.replaceAll(/\B(?=(\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`);
  const sign = value < 0 && Number(value.toFixed(digits)) !== 0 ? '−' : '';
  return `${sign}${grouped} ${ownEntry(UNITS, unit) ?? unit}`;
}

/** The name of a measurement or an attribute: `longAxis` is "Long axis" or "长径". */
export function propertyName(name: string, language: Language): string {
  const own = ownEntry(language === 'zh-CN' ? CHINESE : ENGLISH, name);
  if (own !== undefined) return own;
  const words = name.replaceAll(/([a-z\d])([A-Z])/g, '$1 $2').toLowerCase();
  return displayNameOf(words, language);
}

/** "Part-solid", "左". */
export function attributeValueText({ value }: Pick<Attribute, 'value'>, language: Language): string {
  return language === 'zh-CN' ? (ownEntry(CHINESE_VALUES, value) ?? displayNameOf(value, language)) : displayNameOf(value, language);
}
