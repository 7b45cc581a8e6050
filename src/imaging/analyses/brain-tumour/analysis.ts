import { AppError } from '../../../kernel/errors.js';
import type { Manifest } from '../../model/manifest.js';
import type { CascadedAnisotropicManifest } from '../../model/manifests/cascaded-anisotropic.js';
import type { SlidingWindowSegmentationManifest } from '../../model/manifests/sliding-window-segmentation.js';
import * as cascade from '../../recipes/cascaded-anisotropic.js';
import type { LabelMap } from '../../recipes/recipe.js';
import * as slidingWindow from '../../recipes/sliding-window-segmentation.js';
import { assembleSeries, type AssembledVolume } from '../../volume/assemble.js';
import { sameGrid, spacingOf } from '../../volume/geometry.js';
import { reorient } from '../../volume/reorient.js';
import { resampleLabels } from '../../volume/resample.js';
import { notAnalysable, type Analysis, type AnalysisInput, type AnalysisTools, type Networks } from '../analysis.js';
import { fits, select } from './eligibility.js';
import { midlineShift, type MidlineShift } from './midline.js';
import { conclude } from './postprocess.js';
import { labelsOnReference, prepareMr, type PreparedMr } from './preprocess.js';
import { ROLE_NAMES, type MrRole } from './sequences.js';

type TumourManifest = CascadedAnisotropicManifest | SlidingWindowSegmentationManifest;

/** Best for the midline first: the ventricles stand out most in T1 and T2. */
const MIDLINE_ROLES: readonly MrRole[] = ['t1', 't1c', 't2', 'flair'];

/** Where a brain tumour is, its core and what of it enhances, from MR sequences of one study. */
export const brainTumourSegmentation: Analysis = {
  name: 'brain-tumour-segmentation',
  fits,
  select,
  check: (manifest, networks) => checkRecipe(tumourManifest(manifest), networks),
  async analyse(input, tools) {
    const manifest = tumourManifest(tools.manifest);
    await tools.stage('load', () => tools.networks(firstNetworkOf(manifest)));
    const assembled = await tools.stage('decode', () => assembleRoles(input, tools));
    const prepared = await prepareMr(assembled, manifest.preparation, tools);
    if (prepared.kind === 'not-analysable') return prepared;
    const { referenceRole } = prepared;
    const reference = assembled[referenceRole];
    const series = input.series.find(({ role }) => role === referenceRole);
    if (reference === undefined || series === undefined) return notAnalysable('missing-sequence', `The study has no ${ROLE_NAMES[referenceRole]}.`);
    const found = await tools.stage('infer', () => segmentWith(manifest, prepared, tools));
    return tools.stage('conclude', () => {
      const midline = midlineOf(prepared, found.labels);
      const { voxels: _, frames, ...grid } = reference;
      const concluded = conclude(
        {
          segmentation: { grid, seriesInstanceUid: series.seriesInstanceUid, frames, labels: labelsOnReference(prepared, found.labels, grid) },
          score: found.score ?? 1,
          midline,
          details: { selection: input.series.map(({ role, seriesInstanceUid, reason }) => ({ role, seriesInstanceUid, reason })), reference: referenceRole, preparation: { notes: prepared.notes, ...prepared.details }, recipe: found.details },
        },
        manifest,
      );
      return { ...concluded, outOfDistribution: found.outOfDistribution };
    });
  },
};

function tumourManifest(manifest: Manifest): TumourManifest {
  if (manifest.recipe === 'cascaded-anisotropic' || manifest.recipe === 'sliding-window-segmentation') return manifest;
  throw new AppError('model-load-failed', { detail: `The recipe ${manifest.recipe} does not segment brain tumours` });
}

function checkRecipe(manifest: TumourManifest, networks: Networks): Promise<void> {
  return manifest.recipe === 'cascaded-anisotropic' ? cascade.check(manifest, networks) : slidingWindow.check(manifest, networks);
}

/** The one that runs first, so that a model that cannot be loaded fails before the images are read. */
function firstNetworkOf(manifest: TumourManifest): string {
  return manifest.recipe === 'cascaded-anisotropic' ? manifest.networks.wholeTumour.axial.path : manifest.network.path;
}

async function assembleRoles({ series, instances }: AnalysisInput, { codec, progress }: AnalysisTools): Promise<Partial<Record<MrRole, AssembledVolume>>> {
  const assembled: Partial<Record<MrRole, AssembledVolume>> = {};
  for (const [i, one] of series.entries()) {
    if (isRole(one.role)) assembled[one.role] = await assembleSeries(one, instances, codec, (done) => { progress((i + done) / series.length); });
  }
  return assembled;
}

function isRole(role: string): role is MrRole {
  return role in ROLE_NAMES;
}

function segmentWith(manifest: TumourManifest, { channels }: PreparedMr, { networks, progress, random, reduced }: AnalysisTools): Promise<LabelMap> {
  const tools = { progress, random, reduced };
  return manifest.recipe === 'cascaded-anisotropic' ? cascade.segment(channels, manifest, networks, tools) : slidingWindow.segment(channels, manifest, networks, tools);
}

/** Measured on the prepared images, turned so that columns run to the left and slices to the top. */
function midlineOf({ channels, grid, brainMask }: PreparedMr, labels: Uint8Array): MidlineShift {
  const image = MIDLINE_ROLES.map((role) => channels[role]).find((channel) => channel !== undefined);
  if (image === undefined) return { status: 'not-measurable', reason: 'There is no image' };
  const turned = reorient(image, 'LPS');
  const onTurned = (voxels: Uint8Array): Uint8Array => (sameGrid(turned, grid) ? voxels : resampleLabels({ ...grid, voxels }, turned).voxels);
  return midlineShift({ size: turned.size, spacingMm: spacingOf(turned.affine), voxels: turned.voxels, brain: onTurned(brainMask), tumour: onTurned(labels) });
}
