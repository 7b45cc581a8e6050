import type { DicomJson, DicomJsonElement, DicomJsonValue, PersonName } from '../../dicom/dicom-json.js';
import { dictionaryVr, tagOf } from '../../dicom/dictionary.js';
import { decimalString } from '../../dicom/write-data-set.js';
import type { Concept } from './concepts.js';
import { longText } from './text.js';

type FieldValue = string | number | PersonName | undefined | readonly (string | number)[] | readonly DicomJson[];

/** A data set from values by keyword of PS3.6; `undefined` leaves an element out, an empty list or text leaves it without a value. */
export function dataSet(fields: Readonly<Record<string, FieldValue>>): DicomJson {
  const json: DicomJson = {};
  for (const [keyword, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const tag = tagOf(keyword);
    const values = (Array.isArray(value) ? value : [value]) as DicomJsonValue[]; // one value or a list of such
    const element: DicomJsonElement = { vr: dictionaryVr(Number.parseInt(tag, 16), false) };
    if (values.length > 0 && !(values.length === 1 && values[0] === '')) element.Value = values;
    json[tag] = element;
  }
  return json;
}

/** @see PS3.3 table 8.8-1: a value of more than sixteen characters has an element of its own */
export function codeItem({ value, scheme, meaning }: Concept): DicomJson {
  return dataSet({ ...(value.length > 16 ? { LongCodeValue: value } : { CodeValue: value }), CodingSchemeDesignator: scheme, CodeMeaning: meaning });
}

export type Relationship = 'CONTAINS' | 'HAS OBS CONTEXT' | 'HAS CONCEPT MOD' | 'HAS ACQ CONTEXT' | 'INFERRED FROM' | 'SELECTED FROM';

/** A stored instance, and what of it. */
export interface InstanceReference {
  sopClassUid: string;
  sopInstanceUid: string;
  /** Of a multi-frame image. */
  frame?: number | undefined;
  /** Of a segmentation. */
  segment?: number | undefined;
}

interface ItemFields {
  relationship: Relationship;
  name: Concept;
  children?: readonly DicomJson[];
}

/** A content item. @see PS3.3 C.17.3 */
function item(valueType: string, { relationship, name, children = [] }: ItemFields, fields: Readonly<Record<string, FieldValue>>): DicomJson {
  return dataSet({ RelationshipType: relationship, ValueType: valueType, ConceptNameCodeSequence: [codeItem(name)], ...fields, ContentSequence: children.length === 0 ? undefined : children });
}

/** @param template  of PS3.16 */
export function container(name: Concept, children: readonly DicomJson[], template?: string): DicomJson {
  return item('CONTAINER', { relationship: 'CONTAINS', name, children }, containerFields(template));
}

/** Of a container, whether the root or not. */
export function containerFields(template?: string): Record<string, FieldValue> {
  return { ContinuityOfContent: 'SEPARATE', ...(template !== undefined && { ContentTemplateSequence: [dataSet({ MappingResource: 'DCMR', TemplateIdentifier: template })] }) };
}

export function codeValue(relationship: Relationship, name: Concept, value: Concept, children: readonly DicomJson[] = []): DicomJson {
  return item('CODE', { relationship, name, children }, { ConceptCodeSequence: [codeItem(value)] });
}

export function textValue(relationship: Relationship, name: Concept, value: string): DicomJson {
  return item('TEXT', { relationship, name }, { TextValue: longText(value) || '-' });
}

export function uidValue(relationship: Relationship, name: Concept, uid: string): DicomJson {
  return item('UIDREF', { relationship, name }, { UID: uid });
}

export function personValue(relationship: Relationship, name: Concept, person: string): DicomJson {
  return item('PNAME', { relationship, name }, { PersonName: { Alphabetic: person } });
}

export function dateValue(relationship: Relationship, name: Concept, date: string): DicomJson {
  return item('DATE', { relationship, name }, { Date: date });
}

/** A number; one that is none has no value, which the checks report. @see PS3.3 C.18.1 */
export function numberValue(name: Concept, value: number, unit: Concept, children: readonly DicomJson[] = []): DicomJson {
  const measured = Number.isFinite(value)
    ? [dataSet({ NumericValue: decimalString(value), ...(Number(decimalString(value)) !== value && { FloatingPointValue: value }), MeasurementUnitsCodeSequence: [codeItem(unit)] })]
    : [];
  return item('NUM', { relationship: 'CONTAINS', name, children }, { MeasuredValueSequence: measured });
}

export function imageValue(relationship: Relationship, name: Concept | undefined, { sopClassUid, sopInstanceUid, frame, segment }: InstanceReference): DicomJson {
  return dataSet({
    RelationshipType: relationship,
    ValueType: 'IMAGE',
    ConceptNameCodeSequence: name && [codeItem(name)],
    ReferencedSOPSequence: [dataSet({
      ReferencedSOPClassUID: sopClassUid,
      ReferencedSOPInstanceUID: sopInstanceUid,
      ReferencedFrameNumber: frame === undefined ? undefined : String(frame),
      ReferencedSegmentNumber: segment,
    })],
  });
}

/** Points in the patient. @param points  LPS millimetres of the frame of reference */
export function spatial3d(name: Concept, graphicType: string, points: readonly (readonly [number, number, number])[], frameOfReferenceUid: string): DicomJson {
  return item('SCOORD3D', { relationship: 'CONTAINS', name }, { GraphicType: graphicType, GraphicData: points.flat(), ReferencedFrameOfReferenceUID: frameOfReferenceUid });
}

/** Points on an image. @param points  column, row; 0\0 is the outer corner of the first pixel. PS3.3 C.18.6.1.1 */
export function spatial2d(relationship: 'CONTAINS' | 'INFERRED FROM', name: Concept, graphicType: string, points: readonly (readonly [number, number])[], image: InstanceReference): DicomJson {
  return item('SCOORD', { relationship, name, children: [imageValue('SELECTED FROM', undefined, image)] }, { GraphicType: graphicType, GraphicData: points.flat() });
}
