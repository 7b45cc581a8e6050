import type { DicomJson, DicomJsonElement } from '../dicom-json.js';

const WORD = 'REMOVED';

const DUMMIES: Record<string, DicomJsonElement['Value']> = {
  AE: [WORD], CS: [WORD], LO: [WORD], LT: [WORD], SH: [WORD], ST: [WORD], UC: [WORD], UT: [WORD],
  AS: ['000Y'], DA: ['19000101'], DT: ['19000101000000'], TM: ['000000'],
  DS: [0], IS: [0], FD: [0], FL: [0], SL: [0], SS: [0], SV: [0], UL: [0], US: [0], UV: [0],
  PN: [{ Alphabetic: WORD }],
};

/** A value that says nothing and fits the VR; undefined where there is none, which means to remove the element. */
export function dummyValue(vr: string): DicomJsonElement | undefined {
  const Value = DUMMIES[vr];
  return Value && { vr, Value: [...Value] };
}

/** A code that says nothing. @see PS3.3 table 8.8-1 */
function dummyCode(): DicomJson {
  return code(WORD, '99REMOVED', 'Removed');
}

function code(value: string, scheme: string, meaning: string): DicomJson {
  return { '00080100': { vr: 'SH', Value: [value] }, '00080102': { vr: 'SH', Value: [scheme] }, '00080104': { vr: 'LO', Value: [meaning] } };
}

/** Institution Code Sequence, Person Identification Code Sequence. */
const CODES = new Set(['00080082', '00401101']);
const CONTENT_SEQUENCE = '0040A730';
/** The items of these name what is replaced by themselves: the table's own rows do the work inside. */
const BY_THEIR_CONTENT = new Set(['00081072', '00081111', '00340001', '0040A073']);

/**
 * What takes the place of a sequence whose action is D: a dummy sequence, `recurse` where its items are replaced inside, or
 * `remove` where the module that needs it is optional (annotations).
 */
export function dummySequence(tag: string): DicomJsonElement | 'recurse' | 'remove' {
  if (CODES.has(tag)) return { vr: 'SQ', Value: [dummyCode()] };
  if (tag === CONTENT_SEQUENCE) return { vr: 'SQ', Value: [removedContent()] };
  return BY_THEIR_CONTENT.has(tag) ? 'recurse' : 'remove';
}

/** One comment that says that the content was removed. @see PS3.3 C.17.3 */
function removedContent(): DicomJson {
  return {
    '0040A010': { vr: 'CS', Value: ['CONTAINS'] },
    '0040A040': { vr: 'CS', Value: ['TEXT'] },
    '0040A043': { vr: 'SQ', Value: [code('121106', 'DCM', 'Comment')] },
    '0040A160': { vr: 'UT', Value: [WORD] },
  };
}
