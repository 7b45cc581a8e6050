import type { CascadedAnisotropicManifest } from '../../model/manifests/cascaded-anisotropic.js';
import type { Vector3 } from '../../volume/volume.js';
import { closed, componentsOver, componentsWithin, largestTwo } from './regions.js';

/** The three masks of the cascade on one grid; 0 or 1. */
export interface CascadeMasks {
  wholeTumour: Uint8Array;
  tumourCore: Uint8Array;
  enhancing: Uint8Array;
}

/**
 * One label map from the three regions: what is connected and large is tumour; the core is closed and stays where it is tumour; the
 * enhancing part lies in the core, or there is none when it is but a few voxels.
 */
export function fuse({ wholeTumour, tumourCore, enhancing }: CascadeMasks, size: Vector3, rules: CascadedAnisotropicManifest['postprocessing']): Uint8Array {
  const { connectivity, values } = rules;
  const anywhere = union(union(wholeTumour, tumourCore), enhancing);
  const tumour = componentsOver(closed(anywhere, size, connectivity), size, connectivity, rules.wholeTumourMinVoxels);
  const whole = intersection(wholeTumour, tumour);
  const coreInTumour = closed(intersection(union(tumourCore, enhancing), tumour), size, connectivity);
  const core = largestTwo(componentsWithin(coreInTumour, whole, size, connectivity, rules.coreMinOverlap), size, connectivity, rules.secondComponentMinRatio);
  const active = intersection(core, enhancing);
  const activeVoxels = active.reduce((sum, value) => sum + value, 0);
  const labels = new Uint8Array(whole.length);
  for (let i = 0; i < labels.length; i++) {
    if (whole[i] === 1) labels[i] = values.oedema;
    if (core[i] === 1) labels[i] = values.core;
    if (active[i] === 1 && activeVoxels >= rules.enhancingMinVoxels) labels[i] = values.enhancing;
  }
  return labels;
}

function union(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length);
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) | (b[i] ?? 0);
  return out;
}

function intersection(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length);
  for (let i = 0; i < out.length; i++) out[i] = (a[i] ?? 0) & (b[i] ?? 0);
  return out;
}
