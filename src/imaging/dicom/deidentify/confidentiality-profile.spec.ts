import { describe, expect, it } from 'vitest';
import { profiledTags, profileRowOf } from './confidentiality-profile.js';
import { treatmentOf, type DeidentificationOptions } from './treatment.js';

const ALL: DeidentificationOptions = { retainDevice: true, cleanDescriptors: true, longitudinal: 'shift', cleanPixelData: true };
const NONE: DeidentificationOptions = { retainDevice: false, cleanDescriptors: false, longitudinal: 'remove', cleanPixelData: false };

describe('the confidentiality profile', () => {
  it('is well formed, and whole', () => {
    const tags = [...profiledTags()];
    expect(tags.length).toBeGreaterThanOrEqual(652);
    expect(new Set(tags).size).toBe(tags.length);
    for (const tag of tags) {
      expect(tag).toMatch(/^[0-9A-F]{8}$/);
      expect(['X', 'Z', 'D', 'U', 'Z/D', 'X/Z', 'X/D', 'X/Z/D', 'X/Z/U*']).toContain(profileRowOf(tag)?.basic);
    }
  });

  // Rows of every kind, as PS3.15 table E.1-1 prints them.
  it.each([
    ['00080050', 'Z', undefined, false, false],
    ['00080020', 'Z', undefined, true, false],
    ['0008002A', 'X/Z/D', undefined, true, false],
    ['0008103E', 'X', undefined, false, true],
    ['00081140', 'X/Z/U*', undefined, false, false],
    ['00100010', 'Z', undefined, false, false],
    ['00100020', 'Z/D', undefined, false, false],
    ['00180010', 'Z/D', undefined, false, true],
    ['00181000', 'X/Z/D', 'K', false, false],
    ['00181002', 'U', 'K', false, false],
    ['00181030', 'X/D', undefined, false, true],
    ['00181200', 'X', 'K', true, false],
    ['00080055', 'X', 'C', false, false],
    ['0020000D', 'U', undefined, false, false],
    ['0040A730', 'D', undefined, false, false],
    ['0040A123', 'D', undefined, false, false],
    ['30060026', 'Z', undefined, false, true],
    ['FFFAFFFA', 'X', undefined, false, false],
  ])('has %s', (tag, basic, device, modifiedDates, cleanDescriptors) => {
    expect(profileRowOf(tag)).toEqual({ basic, ...(device === undefined ? {} : { device }), modifiedDates, cleanDescriptors });
  });
});

describe('treatmentOf', () => {
  it.each([
    ['00090010', 'LO', 'remove', 'remove'],
    ['50000010', 'US', 'remove', 'remove'],
    ['60020010', 'US', 'remove', 'remove'],
    ['00080020', 'DA', 'shift-date', 'empty'],
    ['0008103E', 'LO', 'clean-text', 'remove'],
    ['00181030', 'LO', 'clean-text', 'replace'],
    ['00181000', 'LO', 'keep', 'replace'],
    ['00181002', 'UI', 'keep', 'map-uid'],
    ['00400275', 'SQ', 'recurse', 'remove'],
    ['00081140', 'SQ', 'recurse', 'recurse'],
    ['00080080', 'LO', 'replace', 'replace'],
    ['00280010', 'US', 'keep', 'keep'],
    ['00280010', 'LO', 'remove', 'remove'],
    ['00080016', 'UI', 'keep', 'keep'],
    ['00083012', 'UI', 'map-uid', 'map-uid'],
    ['00142006', 'PN', 'remove', 'remove'],
    ['00081190', 'UR', 'remove', 'remove'],
    ['300A00C2', 'LO', 'clean-text', 'replace'],
    ['00181210', 'SH', 'keep', 'keep'],
    ['00141020', 'DA', 'shift-date', 'remove'],
    ['00283006', 'OW', 'keep', 'keep'],
    ['00686300', 'OB', 'remove', 'remove'],
    ['00101021', 'SQ', 'remove', 'remove'],
    ['00189999', 'LO', 'remove', 'remove'],
  ])('of %s %s is %s with all options and %s without', (tag, vr, all, none) => {
    expect([treatmentOf(tag, vr, ALL).action, treatmentOf(tag, vr, NONE).action]).toEqual([all, none]);
  });
});
