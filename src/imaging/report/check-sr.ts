import { AppError } from '../../kernel/errors.js';
import { parseInstanceBytes, type ParsedInstance } from '../dicom/header.js';
import type { DerivedFault, DerivedSource } from './derived.js';
import { checkDocument } from './sr/check-document.js';
import { checkGeometry } from './sr/check-geometry.js';
import { checkMeasurements } from './sr/check-measurements.js';
import { checkReferences } from './sr/check-references.js';
import { checkTemplate } from './sr/check-template.js';
import type { SegReference } from './sr/groups.js';
import { readTree } from './sr/tree.js';

/** So many are enough to see what is wrong. */
const MOST_FAULTS = 100;

/**
 * Whether a report may leave: the modules of its IOD, the rows of its templates, codes, references, places and numbers, as read from the
 * bytes and compared with the result.
 *
 * @returns what is wrong with it; nothing for a report that may leave
 */
export function checkSr(bytes: Uint8Array, source: DerivedSource, seg: SegReference | null): DerivedFault[] {
  const faults: DerivedFault[] = [];
  const report = (check: DerivedFault['check'], detail: string): void => { if (faults.length < MOST_FAULTS) faults.push({ check, detail }); };
  const parsed = parsedOrFault(bytes, report);
  if (parsed === undefined) return faults;
  checkDocument(parsed, source, seg, report);
  const root = readTree(parsed.attributes);
  checkTemplate(root, source, report);
  checkReferences(root, source, seg, report);
  checkGeometry(root, source, report);
  checkMeasurements(root, source, report);
  return faults;
}

function parsedOrFault(bytes: Uint8Array, report: (check: 'iod', detail: string) => void): ParsedInstance | undefined {
  try {
    return parseInstanceBytes(bytes);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    report('iod', `The object cannot be read: ${error.code}`);
    return undefined;
  }
}
