import { dictionaryVr } from '../dictionary.js';
import { profileRowOf, type ActionCode, type ProfileRow } from './confidentiality-profile.js';
import { isClassUid, isKeptBinary, isTechnicalText } from './kept-attributes.js';

/** The options of the profile that are offered. @see PS3.15 E.3 */
export interface DeidentificationOptions {
  /** Retain Device Identity. */
  retainDevice: boolean;
  /** Clean Descriptors: keeps of free text what is surely technical, instead of nothing. */
  cleanDescriptors: boolean;
  /** `shift`: Retain Longitudinal Temporal Information with Modified Dates. */
  longitudinal: 'shift' | 'remove';
  /** Clean Pixel Data. */
  cleanPixelData: boolean;
}

/** What happens to one element when a `clean` leaves nothing of it. */
export type Fallback = 'remove' | 'empty' | 'replace';

export type Treatment =
  | { action: 'remove'; why: 'profile' | 'private' | 'unknown' }
  | { action: 'empty' | 'replace' | 'map-uid' | 'keep' | 'recurse' }
  | { action: 'shift-date' | 'clean-text'; fallback: Fallback };

const REMOVE: Treatment = { action: 'remove', why: 'profile' };
const UNKNOWN: Treatment = { action: 'remove', why: 'unknown' };
const PRIVATE: Treatment = { action: 'remove', why: 'private' };

const TEMPORAL = new Set(['DA', 'DT', 'TM']);
const FREE_TEXT = new Set(['LO', 'SH', 'ST', 'LT', 'UT', 'UC']);
const BINARY = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW']);

/** Of Patient, visits, commands, file sets, inventories, print jobs, signatures: nothing there is kept that the table does not list. */
const CLOSED_GROUPS = new Set(['0000', '0002', '0004', '0010', '0038', '2000', '2010', '2020', '2040', '2100', '2110', '4000', '4008', '4010', '4FFE', 'FFFA', 'FFFC']);

/**
 * What de-identification does to an element. What the table leaves open between removing and replacing is settled without
 * knowing the IOD, by the choice that keeps every IOD valid: X/Z empties, X/D and X/Z/D put a dummy value. What the table does
 * not list is kept only where it cannot hold words of a person: numbers, codes, technical texts, tables of samples.
 *
 * @param tag  eight upper-case hexadecimal digits
 * @param vr  as found in the file
 * @see PS3.15 E.1.1, E.2
 */
export function treatmentOf(tag: string, vr: string, options: DeidentificationOptions): Treatment {
  const number = Number.parseInt(tag, 16);
  if ((number >>> 16) & 1) return PRIVATE;
  // The whole of curves and overlays: their other attributes describe what is removed.
  if (tag.startsWith('50') || tag.startsWith('60')) return REMOVE;
  if (vr === 'UN') return UNKNOWN;
  const row = profileRowOf(tag);
  if (row !== undefined) return byRow(row, vr, options);
  if (CLOSED_GROUPS.has(tag.slice(0, 4))) return REMOVE;
  const known = dictionaryVr(number, vr === 'SS');
  return known === 'UN' || !isPlausible(vr, known) ? UNKNOWN : unlisted(tag, vr, options);
}

function byRow(row: ProfileRow, vr: string, options: DeidentificationOptions): Treatment {
  if (TEMPORAL.has(vr)) {
    // Dates of devices too: a real one beside shifted ones would tell the shift to who knows the device.
    return row.modifiedDates && options.longitudinal === 'shift' ? { action: 'shift-date', fallback: fallbackOf(row.basic) } : basic(row.basic);
  }
  if (options.retainDevice && row.device === 'K') return vr === 'SQ' ? { action: 'recurse' } : { action: 'keep' };
  const cleans = (options.cleanDescriptors && row.cleanDescriptors) || (options.retainDevice && row.device === 'C');
  if (cleans && vr === 'SQ') return { action: 'recurse' };
  if (cleans && (FREE_TEXT.has(vr) || vr === 'AE')) return { action: 'clean-text', fallback: fallbackOf(row.basic) };
  return basic(row.basic);
}

function basic(code: ActionCode): Treatment {
  if (code === 'U') return { action: 'map-uid' };
  if (code === 'X/Z/U*') return { action: 'recurse' };
  const fallback = fallbackOf(code);
  return fallback === 'remove' ? REMOVE : { action: fallback };
}

function fallbackOf(code: ActionCode): Fallback {
  if (code.includes('D')) return 'replace';
  return code.includes('Z') ? 'empty' : 'remove';
}

function unlisted(tag: string, vr: string, options: DeidentificationOptions): Treatment {
  if (vr === 'SQ') return { action: 'recurse' };
  if (vr === 'UI') return isClassUid(tag) ? { action: 'keep' } : { action: 'map-uid' };
  if (TEMPORAL.has(vr)) return options.longitudinal === 'shift' ? { action: 'shift-date', fallback: 'remove' } : REMOVE;
  // Names, addresses of systems, and links carry more than the table has thought of.
  if (vr === 'PN' || vr === 'AE' || vr === 'UR') return REMOVE;
  if (BINARY.has(vr)) return isKeptBinary(tag) ? { action: 'keep' } : REMOVE;
  if (!FREE_TEXT.has(vr) || isTechnicalText(tag)) return { action: 'keep' };
  return options.cleanDescriptors ? { action: 'clean-text', fallback: 'replace' } : { action: 'replace' };
}

/** Text in the place of a number, or bytes in the place of text, was never what PS3.6 has there. */
function isPlausible(vr: string, known: string): boolean {
  return vr === known || kindOf(vr) === kindOf(known);
}

function kindOf(vr: string): string {
  if (FREE_TEXT.has(vr)) return 'text';
  if (BINARY.has(vr)) return 'binary';
  // Tables of samples are US or OW by the writer's choice, counts became 64 bit.
  if (['US', 'SS', 'UL', 'SL', 'UV', 'SV'].includes(vr)) return 'binary';
  if (['FL', 'FD', 'DS', 'IS'].includes(vr)) return 'number';
  return vr;
}
