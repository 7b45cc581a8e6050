import { sequence } from './attributes.js';
import type { DicomJson } from './dicom-json.js';

/**
 * The attributes that hold for one frame: for enhanced multi-frame objects, the shared and then the per-frame
 * functional groups are laid over the data set's own, so that readers need not know where a value stood.
 *
 * @param frameIndex  from 0
 * @see PS3.3 C.7.6.16
 */
export function frameAttributes(attributes: DicomJson, frameIndex: number): DicomJson {
  const shared = sequence(attributes, 'SharedFunctionalGroupsSequence')[0];
  const perFrame = sequence(attributes, 'PerFrameFunctionalGroupsSequence')[frameIndex];
  if (shared === undefined && perFrame === undefined) return attributes;
  const merged: DicomJson = { ...attributes };
  for (const groups of [shared, perFrame]) {
    if (groups === undefined) continue;
    for (const [tag, element] of Object.entries(groups)) {
      if (element.vr !== 'SQ') continue;
      merged[tag] = element;
      Object.assign(merged, sequence(groups, tag)[0]);
    }
  }
  return merged;
}
