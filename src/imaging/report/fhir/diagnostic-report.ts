import type { CodeableConcept, Coding, DiagnosticReport, Narrative } from '@medplum/fhirtypes';
import { DISCLAIMER } from '../finding.js';
import { positiveLabels, summaryText } from '../summary.js';
import { warningsOf } from '../warnings.js';
import { codingOf, plain, reportCode } from './codes.js';
import { fhirDate } from './dates.js';
import { documentUrl } from './documents.js';
import { observationIds, observationReference } from './observation.js';
import { versioned, type FhirReader, type FhirResultSource } from './result-source.js';
import { subjectOf } from './subject.js';

export const REPORT_CATEGORY: Coding = { system: 'http://terminology.hl7.org/CodeSystem/v2-0074', code: 'RAD', display: 'Radiology' };
export const RESULT_ID_SYSTEM = 'urn:ietf:rfc:3986';

/** A result as a report; the sentence on top is in the reader's language, as is the narrative, which holds the disclaimer. */
export function fhirDiagnosticReport(result: FhirResultSource, reader: FhirReader): DiagnosticReport {
  const { study, verifier } = result;
  const { language } = reader;
  // Of nodules each is a finding, and its segment would say the same again.
  const summary = summaryText(result.analysis === 'lung-nodule-detection' ? { ...result, segments: [] } : result, language);
  const warnings = warningsOf(result.provenance, language).map(({ text }) => text);
  // R4 has no note here: whoever shows the conclusion alone shows the warning, too.
  const conclusion = warnings.length === 0 ? summary : [`${summary}${language === 'zh-CN' ? '。' : '.'}`, ...warnings].join(language === 'zh-CN' ? '' : ' ');
  const effective = fhirDate(study.studyDate);
  const results = observationIds(result).map(observationReference);
  const conclusionCode = conclusionCodes(result);
  return {
    resourceType: 'DiagnosticReport', id: result.id, meta: versioned(result), language,
    text: narrative([summary, ...warnings, DISCLAIMER[language]], language),
    identifier: [{ use: 'official', system: RESULT_ID_SYSTEM, value: `urn:uuid:${result.id}` }],
    status: result.status,
    category: [{ coding: [REPORT_CATEGORY] }],
    code: { coding: [reportCode(result.analysis)], text: result.analysis },
    ...(study.patientId !== null && { subject: subjectOf(study.patientId) }),
    ...(effective !== undefined && { effectiveDateTime: effective }),
    issued: result.createdAt.toISOString(),
    ...(verifier && { resultsInterpreter: [{ display: plain(verifier.name) ?? 'a person' }] }),
    ...(results.length > 0 && { result: results }),
    imagingStudy: [{ reference: `ImagingStudy/${study.id}` }],
    conclusion,
    ...(conclusionCode.length > 0 && { conclusionCode }),
    ...(result.documents.includes('pdf') && {
      presentedForm: [{ contentType: 'application/pdf', language, url: documentUrl(result.id, 'pdf', reader.base), title: result.analysis, creation: result.updatedAt.toISOString() }],
    }),
  };
}

/** What was found, each code once. */
function conclusionCodes({ findings, labels }: FhirResultSource): CodeableConcept[] {
  const codes = [...findings.map(({ code }) => code), ...positiveLabels(labels).map(({ code }) => code)].flatMap((code) => (code && codingOf(code)) ?? []);
  const distinct = new Map(codes.map((coding) => [`${coding.system ?? ''}|${coding.code ?? ''}`, coding]));
  return [...distinct.values()].map((coding) => ({ coding: [coding] }));
}

function narrative(paragraphs: readonly string[], language: string): Narrative {
  const text = paragraphs.map((paragraph) => `<p>${escaped(paragraph)}</p>`).join('');
  return { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml" lang="${language}" xml:lang="${language}">${text}</div>` };
}

function escaped(text: string): string {
  return (plain(text) ?? '').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
