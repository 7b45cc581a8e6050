import { decimalString } from '../../dicom/write-data-set.js';
import type { Fields } from '../data-set.js';
import { longText } from '../element-text.js';
import type { Concept } from './concepts.js';

const SHORT_CODE = 16;

/** An item of a code sequence. @see PS3.3 table 8.8-1: a value of more than sixteen characters has an element of its own */
export function codeItem({ value, scheme, meaning }: Concept): Fields {
  return { [value.length > SHORT_CODE ? 'LongCodeValue' : 'CodeValue']: value, CodingSchemeDesignator: scheme, CodeMeaning: meaning };
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
  children?: readonly Fields[];
}

/** A content item. @see PS3.3 C.17.3 */
function item(valueType: string, { relationship, name, children = [] }: ItemFields, fields: Fields): Fields {
  return { RelationshipType: relationship, ValueType: valueType, ConceptNameCodeSequence: [codeItem(name)], ...fields, ContentSequence: children.length === 0 ? undefined : children };
}

/** @param template  of PS3.16 */
export function container(name: Concept, children: readonly Fields[], template?: string): Fields {
  return item('CONTAINER', { relationship: 'CONTAINS', name, children }, containerFields(template));
}

/** Of a container, whether the root or not. */
export function containerFields(template?: string): Fields {
  return { ContinuityOfContent: 'SEPARATE', ...(template !== undefined && { ContentTemplateSequence: [{ MappingResource: 'DCMR', TemplateIdentifier: template }] }) };
}

export function codeValue(relationship: Relationship, name: Concept, value: Concept, children: readonly Fields[] = []): Fields {
  return item('CODE', { relationship, name, children }, { ConceptCodeSequence: [codeItem(value)] });
}

export function textValue(relationship: Relationship, name: Concept, value: string): Fields {
  return item('TEXT', { relationship, name }, { TextValue: longText(value) || '-' });
}

export function uidValue(relationship: Relationship, name: Concept, uid: string): Fields {
  return item('UIDREF', { relationship, name }, { UID: uid });
}

export function personValue(relationship: Relationship, name: Concept, person: string): Fields {
  return item('PNAME', { relationship, name }, { PersonName: { Alphabetic: person } });
}

export function dateValue(relationship: Relationship, name: Concept, date: string): Fields {
  return item('DATE', { relationship, name }, { Date: date });
}

/** A number; one that is none has no value, which the checks report. @see PS3.3 C.18.1 */
export function numberValue(name: Concept, value: number, unit: Concept, children: readonly Fields[] = []): Fields {
  const measured = Number.isFinite(value)
    ? [{ NumericValue: decimalString(value), ...(Number(decimalString(value)) !== value && { FloatingPointValue: value }), MeasurementUnitsCodeSequence: [codeItem(unit)] }]
    : [];
  return item('NUM', { relationship: 'CONTAINS', name, children }, { MeasuredValueSequence: measured });
}

export function imageValue(relationship: Relationship, name: Concept | undefined, { sopClassUid, sopInstanceUid, frame, segment }: InstanceReference): Fields {
  return {
    RelationshipType: relationship,
    ValueType: 'IMAGE',
    ConceptNameCodeSequence: name && [codeItem(name)],
    ReferencedSOPSequence: [{ ReferencedSOPClassUID: sopClassUid, ReferencedSOPInstanceUID: sopInstanceUid, ReferencedFrameNumber: frame, ReferencedSegmentNumber: segment }],
  };
}

/** Points in the patient. @param points  LPS millimetres of the frame of reference */
export function spatial3d(name: Concept, graphicType: string, points: readonly (readonly [number, number, number])[], frameOfReferenceUid: string): Fields {
  return item('SCOORD3D', { relationship: 'CONTAINS', name }, { GraphicType: graphicType, GraphicData: points.flat(), ReferencedFrameOfReferenceUID: frameOfReferenceUid });
}

/** Points on an image. @param points  column, row; 0\0 is the outer corner of the first pixel. PS3.3 C.18.6.1.1 */
export function spatial2d(relationship: 'CONTAINS' | 'INFERRED FROM', name: Concept, graphicType: string, points: readonly (readonly [number, number])[], image: InstanceReference): Fields {
  return item('SCOORD', { relationship, name, children: [imageValue('SELECTED FROM', undefined, image)] }, { GraphicType: graphicType, GraphicData: points.flat() });
}
