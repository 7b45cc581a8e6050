import type { Coding, DocumentReference } from '@medplum/fhirtypes';
import { IMAGING_STUDY_REPORT, plain } from './codes.js';
import { deviceReference } from './device.js';
import { versioned, DOCUMENT_KINDS, type DocumentKind, type FhirReader, type FhirResultSource } from './result-source.js';
import { subjectOf } from './subject.js';

interface Form {
  contentType: string;
  path: string;
  format?: Coding;
  title: Readonly<Record<FhirReader['language'], string>>;
}

/** @see PS3.4, B.5 and PS3.6, Annex A: the UIDs of SOP Classes */
const SOP_CLASSES = 'urn:oid:1.2.840.10008.2.6.1';
const FORMS: Readonly<Record<DocumentKind, Form>> = {
  pdf: { contentType: 'application/pdf', path: 'report.pdf', title: { en: 'Report', 'zh-CN': '报告' } },
  sr: { contentType: 'application/dicom', path: 'sr.dcm', format: { system: SOP_CLASSES, code: '1.2.840.10008.5.1.4.1.1.88.34', display: 'Comprehensive 3D SR Storage' }, title: { en: 'Structured report', 'zh-CN': '结构化报告' } },
  seg: { contentType: 'application/dicom', path: 'seg.dcm', format: { system: SOP_CLASSES, code: '1.2.840.10008.5.1.4.1.1.66.4', display: 'Segmentation Storage' }, title: { en: 'Segmentation', 'zh-CN': '分割' } },
};
const DOCUMENT_ID = new RegExp(`^(.+)\\.(${DOCUMENT_KINDS.join('|')})$`);

export function documentId(resultId: string, kind: DocumentKind): string {
  return `${resultId}.${kind}`;
}

/** Whose document an id names; undefined when it is the id of none. */
export function resultOfDocument(id: string): string | undefined {
  return DOCUMENT_ID.exec(id)?.[1];
}

export function documentUrl(resultId: string, kind: DocumentKind, base: string): string {
  return `${base}/api/v1/results/${resultId}/${FORMS[kind].path}`;
}

/** What a result can be fetched as; bytes are behind the URL, for the same credentials. */
export function fhirDocumentReferences(result: FhirResultSource, reader: FhirReader): DocumentReference[] {
  return result.documents.map((kind) => documentReference(result, kind, reader));
}

function documentReference(result: FhirResultSource, kind: DocumentKind, { base, language }: FhirReader): DocumentReference {
  const { study } = result;
  const { contentType, format, title } = FORMS[kind];
  return {
    resourceType: 'DocumentReference', id: documentId(result.id, kind), meta: versioned(result), language,
    status: 'current',
    docStatus: result.status,
    type: { coding: [IMAGING_STUDY_REPORT] },
    category: [{ text: result.analysis }],
    ...(study.patientId !== null && { subject: subjectOf(study.patientId) }),
    date: result.updatedAt.toISOString(),
    author: [deviceReference(result.provenance.model)],
    ...(result.verifier && { authenticator: { display: plain(result.verifier.name) ?? 'a person' } }),
    description: title[language],
    content: [{
      attachment: { contentType, ...(kind === 'pdf' && { language }), url: documentUrl(result.id, kind, base), title: title[language], creation: result.updatedAt.toISOString() },
      ...(format && { format }),
    }],
    context: { related: [{ reference: `ImagingStudy/${study.id}` }, { reference: `DiagnosticReport/${result.id}` }] },
  };
}
