import { ageYears, personName, text } from '../dicom/attributes.js';
import type { DicomJson, PersonName } from '../dicom/dicom-json.js';
import type { ReportTexts } from './report-texts.js';

const EAST_ASIAN = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

/**
 * A name in every script that the object has it in: "Wang, XiaoDong · 王小东". Empty without a name.
 *
 * @see PS3.5 §6.2.1: family^given^middle^prefix^suffix in up to three scripts
 */
export function nameText(name: PersonName | undefined): string {
  const groups = [name?.Alphabetic, name?.Ideographic, name?.Phonetic].map((group) => groupText(group ?? ''));
  return [...new Set(groups.filter((group) => group !== ''))].join(' · ');
}

function groupText(group: string): string {
  const [family = '', given = '', middle = '', prefix = '', suffix = ''] = group.split('^').map((part) => part.trim());
  if (EAST_ASIAN.test(family + given)) return [prefix, family + given + middle, suffix].filter((part) => part !== '').join(' ');
  const behind = [prefix, given, middle, suffix].filter((part) => part !== '').join(' ');
  return [family, behind].filter((part) => part !== '').join(', ');
}

/** `YYYYMMDD` as `YYYY-MM-DD`, other values as they stand. */
export function dateText(value: string | undefined): string {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(value?.trim() ?? '');
  return match ? match.slice(1).join('-') : (value?.trim() ?? '');
}

/** Who a report is about, and which study; a dash for what the object does not say. */
export function patientBand(attributes: DicomJson, texts: ReportTexts): { label: string; value: string }[] {
  const value = (keyword: string): string => text(attributes, keyword)?.trim() ?? '';
  const age = ageYears(attributes);
  const time = /^(\d{2})(\d{2})/.exec(value('StudyTime'));
  const entries: [string, string][] = [
    [texts.name, nameText(personName(attributes, 'PatientName'))],
    [texts.patientId, value('PatientID')],
    [texts.birthDate, [dateText(value('PatientBirthDate')), age === undefined ? '' : `(${texts.years(age < 2 ? age.toFixed(1) : String(Math.floor(age)))})`].filter((part) => part !== '').join(' ')],
    [texts.sex, texts.sexes[value('PatientSex').toUpperCase()] ?? value('PatientSex')],
    [texts.studyDate, [dateText(value('StudyDate')), time ? `${time[1] ?? ''}:${time[2] ?? ''}` : ''].filter((part) => part !== '').join(' ')],
    [texts.accession, value('AccessionNumber')],
    [texts.study, [value('Modality'), value('StudyDescription') || value('SeriesDescription')].filter((part) => part !== '').join(' · ')],
    [texts.site, value('InstitutionName')],
  ];
  return entries.map(([label, shown]) => ({ label, value: shown === '' ? '–' : shown }));
}
