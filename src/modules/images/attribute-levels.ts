import type { DicomJson } from '../../imaging/dicom/dicom-json.js';

/** Attributes of the patient and the study: those that QIDO-RS answers, and what describes the patient. @see PS3.18 tables 10.6.1-3 and 10.6.3-3, PS3.3 C.7.1 and C.7.2 */
export const STUDY_ATTRIBUTES = [
  '00080020', '00080030', '00080050', '00080051', '00080080', '00080081', '00080090', '00080096', '00080201', '00081030', '00081032', '00081040', '00081048', '00081049', '00081060', '00081080',
  '00100010', '00100020', '00100021', '00100024', '00100027', '00100030', '00100032', '00100040', '00101000', '00101001', '00101002', '00101010', '00101020', '00101030',
  '00102160', '00102180', '001021B0', '001021C0', '00102201', '00102297', '00102298', '00104000', '0020000D', '00200010', '00380010', '00380060',
] as const;

/** Attributes of the series. @see PS3.18 table 10.6.3-4, PS3.3 C.7.3 */
export const SERIES_ATTRIBUTES = [
  '00080021', '00080031', '00080060', '00080201', '00080064', '00080068', '00080070', '0008103E', '0008103F', '00081010', '00081050', '00081070', '00081090',
  '00180015', '00180022', '00180024', '00180050', '00181000', '00181020', '00181030', '00185100', '00185101', '0020000E', '00200011', '00200052', '00200060', '00201040', '00201209',
  '00400244', '00400245', '00400250', '00400251', '00400253', '00400254', '00400275', '00400280',
] as const;

/** Those of `tags` that an instance has, without what was left in the object. */
export function pick(attributes: DicomJson, tags: readonly string[]): DicomJson {
  const picked: DicomJson = {};
  for (const tag of tags) {
    const element = attributes[tag];
    if (element !== undefined && element.BulkDataURI === undefined) picked[tag] = element;
  }
  return picked;
}

/** `known` and what only `other` says; undefined when that is nothing. */
export function filledIn(known: DicomJson, other: DicomJson): DicomJson | undefined {
  const missing = Object.entries(other).filter(([tag, { Value }]) => Value !== undefined && Value.length > 0 && (known[tag]?.Value?.length ?? 0) === 0);
  return missing.length === 0 ? undefined : { ...known, ...Object.fromEntries(missing) };
}
