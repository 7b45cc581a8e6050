import type { CodeableConcept, Coding } from '@medplum/fhirtypes';
import type { z } from 'zod';
import { ownEntry } from '../../../kernel/own-entry.js';
import type { codeSchema } from '../finding.js';

type Code = z.infer<typeof codeSchema>;

export const SNOMED = 'http://snomed.info/sct';
export const LOINC = 'http://loinc.org';
/** @see PS3.16, Annex D */
export const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
export const UCUM = 'http://unitsofmeasure.org';

/** Names of code systems in manifests and findings → their URIs. @see https://hl7.org/fhir/R4/terminologies-systems.html */
const SYSTEMS: Readonly<Record<string, string>> = {
  'SNOMED-CT': SNOMED, 'SCT': SNOMED, 'LOINC': LOINC, 'LN': LOINC, 'DCM': DCM, 'RADLEX': 'http://radlex.org', 'ICD-10': 'http://hl7.org/fhir/sid/icd-10', 'UCUM': UCUM,
};

/** What is looked at, by the analysis: the code of its reports. */
const REPORT_CODES: Readonly<Record<string, Coding>> = {
  'chest-xray-classification': { system: LOINC, code: '30745-4', display: 'XR Chest Views' },
  'lung-nodule-detection': { system: LOINC, code: '24627-2', display: 'CT Chest' },
  'brain-tumour-segmentation': { system: LOINC, code: '24590-2', display: 'MR Brain' },
};
export const IMAGING_STUDY_REPORT: Coding = { system: LOINC, code: '18748-4', display: 'Diagnostic imaging study' };

export function reportCode(analysis: string): Coding {
  return REPORT_CODES[analysis] ?? IMAGING_STUDY_REPORT;
}

/** Analyses whose reports have this code; all others have the general one. */
export function analysesOfReportCode(code: string, system?: string): { named: string[]; others: boolean } {
  const is = (coding: Coding): boolean => coding.code === code && (system === undefined || coding.system === system);
  return { named: Object.entries(REPORT_CODES).filter(([, coding]) => is(coding)).map(([analysis]) => analysis), others: is(IMAGING_STUDY_REPORT) };
}

export const ANALYSES_WITH_CODES: readonly string[] = Object.keys(REPORT_CODES);

export const PRESENT: Coding = { system: SNOMED, code: '52101004', display: 'Present' };
export const ABSENT: Coding = { system: SNOMED, code: '2667000', display: 'Absent' };

/** Where an analysis looks. */
const BODY_SITES: Readonly<Record<string, Coding>> = {
  'chest-xray-classification': { system: SNOMED, code: '51185008', display: 'Thoracic structure' },
  'lung-nodule-detection': { system: SNOMED, code: '39607008', display: 'Lung structure' },
  'brain-tumour-segmentation': { system: SNOMED, code: '12738006', display: 'Brain structure' },
};
const LUNGS: Readonly<Record<string, Coding>> = {
  right: { system: SNOMED, code: '3341006', display: 'Right lung structure' },
  left: { system: SNOMED, code: '44029006', display: 'Left lung structure' },
};

/** @param side  `right` or `left`, where a finding says so */
export function bodySite(analysis: string, side: string | undefined): Coding | undefined {
  const site = BODY_SITES[analysis];
  return analysis === 'lung-nodule-detection' && side !== undefined ? (ownEntry(LUNGS, side) ?? site) : site;
}

/** What is measured. Regions of a tumour (`coreVolume`) have the code of the quantity. */
const QUANTITIES: Readonly<Record<string, Coding>> = {
  diameter: { system: SNOMED, code: '81827009', display: 'Diameter' },
  longAxis: { system: SNOMED, code: '103339001', display: 'Long axis' },
  shortAxis: { system: SNOMED, code: '103340004', display: 'Short axis' },
  volume: { system: SNOMED, code: '118565006', display: 'Volume' },
  meanAttenuation: { system: DCM, code: '112031', display: 'Attenuation Coefficient' },
};

export function quantityCode(name: string): Coding | undefined {
  return ownEntry(QUANTITIES, name) ?? Object.entries(QUANTITIES).find(([quantity]) => name.toLowerCase().endsWith(quantity.toLowerCase()) && !/perpendicular/i.test(name))?.[1];
}

/** Units of measurements → UCUM. */
const UNITS: Readonly<Record<string, string>> = { mm: 'mm', mm2: 'mm2', mm3: 'mm3', cm: 'cm', ml: 'mL', mL: 'mL', HU: "[hnsf'U]", '%': '%', '1': '1' };

export function ucumOf(unit: string): string | undefined {
  return ownEntry(UNITS, unit);
}

/** How sure the model is. @see PS3.16, CID 6014 */
export const CERTAINTY: Coding = { system: DCM, code: '111012', display: 'Certainty of Finding' };

/** A code of ours as FHIR has it; without a system where we know no URI for it. */
export function codingOf({ system, value, meaning }: Code): Coding | undefined {
  const code = plain(value);
  if (code === undefined || /\s/.test(code)) return undefined;
  const uri = SYSTEMS[system.toUpperCase()] ?? (/^(https?:\/\/|urn:)\S+$/.test(system) ? system : undefined);
  const display = plain(meaning);
  return { ...(uri !== undefined && { system: uri }), code, ...(display !== undefined && { display }) };
}

/** @returns undefined when it would say nothing */
export function concept(coding: Coding | undefined, text: string | undefined): CodeableConcept {
  const words = plain(text);
  return { ...(coding && { coding: [coding] }), ...(words !== undefined && { text: words }) };
}

/** A text that a FHIR `string` may hold: without control characters, and undefined rather than empty. */
export function plain(text: string | null | undefined): string | undefined {
   
  const words = text?.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').trim();
  return words === undefined || words === '' ? undefined : words;
}
