import { AppError } from '../../kernel/errors.js';
import { text } from '../dicom/attributes.js';
import { parseInstanceBytes } from '../dicom/header.js';
import { isResultClass } from '../dicom/result-classes.js';
import type { DerivedFault, DerivedObject, DerivedSource } from './derived.js';
import { DERIVED_WRITERS, type DerivedWriter } from './derived-writers.js';
import { asItStands } from './seg/standing-segments.js';

/** What came through the gate: all objects of a result, or none and why. */
export type GateOutcome = { kind: 'passed'; objects: DerivedObject[] } | { kind: 'withheld'; faults: DerivedFault[] };

/** A broken writer finds fault with every frame; these tell enough. */
const MOST_FAULTS = 50;
const LONGEST_DETAIL = 500;

/**
 * Makes the objects of a result and reads each back before anybody else may. One fault of one object withholds them all: what a SEG shows
 * and what an SR says must not contradict each other. A writer or a check that throws is a fault as well.
 */
export function throughGate(made: DerivedSource, writers: readonly DerivedWriter[] = DERIVED_WRITERS): GateOutcome {
  const source = asItStands(made);
  const objects: DerivedObject[] = [];
  const faults: DerivedFault[] = [];
  for (const writer of writers) {
    const seg = objects.find(({ kind }) => kind === 'seg') ?? null;
    try {
      const object = writer.write(source, seg);
      if (!object) continue;
      objects.push(object);
      faults.push(...identityFaults(object, source), ...writer.check(object.bytes, source, seg));
    } catch (error) {
      faults.push({ check: 'iod', detail: `The ${writer.kind.toUpperCase()} could not be written or read back: ${placeOf(error)}` });
    }
  }
  if (faults.length === 0) return { kind: 'passed', objects };
  return { kind: 'withheld', faults: faults.slice(0, MOST_FAULTS).map(({ check, detail }) => ({ check, detail: detail.slice(0, LONGEST_DETAIL) })) };
}

/** What holds for every object, whatever it says: it is what we take it for, and stands beside its sources, of the same study and patient. */
function identityFaults({ kind, sopClassUid, seriesInstanceUid, sopInstanceUid, bytes }: DerivedObject, source: DerivedSource): DerivedFault[] {
  const found = parseInstanceBytes(bytes);
  const what = kind.toUpperCase();
  const faults: DerivedFault[] = [];
  const expect = (holds: boolean, check: DerivedFault['check'], detail: string): void => { if (!holds) faults.push({ check, detail: `${what}: ${detail}` }); };
  expect(found.sopInstanceUid === sopInstanceUid && found.seriesInstanceUid === seriesInstanceUid && found.sopClassUid === sopClassUid, 'iod', 'the UIDs in the object are others than it was announced with');
  expect(isResultClass(found.sopClassUid), 'iod', `SOP Class ${found.sopClassUid} would be taken for an image`);
  expect(found.studyInstanceUid === source.studyInstanceUid, 'reference', 'it belongs to another study');
  expect(!source.instances.some((one) => one.sopInstanceUid === found.sopInstanceUid || one.seriesInstanceUid === found.seriesInstanceUid), 'reference', 'it has the UID of a source or lies in its series');
  // Of a study in which some images name the patient and others do not, it names the one that is named.
  const patientId = source.instances.map(({ attributes }) => text(attributes, 'PatientID') ?? '').find((id) => id !== '') ?? '';
  expect(source.instances.length === 0 || patientId === (text(found.attributes, 'PatientID') ?? ''), 'reference', 'it names another patient');
  return faults;
}

/** Where it happened: a message may quote a value, a line of code does not. */
function placeOf(error: unknown): string {
  if (error instanceof AppError) return error.code;
  if (!(error instanceof Error)) return 'unknown';
  const line = error.stack?.split('\n').find((one) => one.trimStart().startsWith('at ')) ?? '';
  return `${error.name} ${/at (\S+)/.exec(line)?.[1] ?? ''} ${/([\w.-]+:\d+):\d+\)?$/.exec(line)?.[1] ?? ''}`.trim();
}
