import { AppError } from '../../../kernel/errors.js';
import type { Manifest } from '../../model/manifest.js';
import type { Retinanet3dManifest } from '../../model/manifests/retinanet-3d.js';
import type { SegmentThenClassifyManifest } from '../../model/manifests/segment-then-classify.js';
import type { Detections, RecipeTools } from '../../recipes/recipe.js';
import * as retinanet3d from '../../recipes/retinanet-3d.js';
import * as segmentThenClassify from '../../recipes/segment-then-classify.js';
import { assembleSeries } from '../../volume/assemble.js';
import type { Volume } from '../../volume/volume.js';
import { notAnalysable, type Analysis, type Networks } from '../analysis.js';
import { fits, select } from './eligibility.js';
import { conclude } from './postprocess.js';
import { faceUp, qualityFault } from './preprocess.js';

type DetectorManifest = SegmentThenClassifyManifest | Retinanet3dManifest;

/** Nodules of a chest CT: where, how large, of which kind. */
export const lungNoduleDetection: Analysis = {
  name: 'lung-nodule-detection',
  fits: (study, manifest) => fits(study, detector(manifest)),
  select: (study, manifest) => select(study, detector(manifest)),
  check(manifest, networks) {
    const model = detector(manifest);
    return model.recipe === 'retinanet-3d' ? retinanet3d.check(model, networks) : segmentThenClassify.check(model, networks);
  },
  async analyse({ series: [ct], instances }, { networks, codec, manifest, stage, progress, random, reduced }) {
    if (ct === undefined) return notAnalysable('no-suitable-image', 'The study has no series for this analysis.');
    const model = detector(manifest);
    // The one that runs first, so that a model that cannot be loaded fails before the images are read.
    await stage('load', () => networks(model.recipe === 'retinanet-3d' ? model.network.path : model.networks.segmentation.path));
    const assembled = await stage('decode', () => assembleSeries(ct, instances, codec, progress));
    const fault = qualityFault(assembled);
    if (fault) return fault;
    const { turned, back } = await stage('prepare', () => faceUp(assembled));
    const detections = await stage('infer', () => detect(turned, model, networks, { progress, random, reduced }));
    return stage('conclude', () => ({ ...back(conclude(turned, detections, { findings: model.findings, label: labelOf(model), seriesInstanceUid: ct.seriesInstanceUid, progress })), outOfDistribution: detections.outOfDistribution }));
  },
};

function detect(ct: Volume, manifest: DetectorManifest, networks: Networks, tools: RecipeTools): Promise<Detections> {
  return manifest.recipe === 'retinanet-3d' ? retinanet3d.detect(ct, manifest, networks, tools) : segmentThenClassify.detect(ct, manifest, networks, tools);
}

function labelOf({ labels }: DetectorManifest): DetectorManifest['labels'][number] {
  const [first] = labels;
  if (first === undefined) throw new AppError('model-load-failed', { detail: 'The manifest names no label' });
  return first;
}

function detector(manifest: Manifest): DetectorManifest {
  if (manifest.recipe !== 'segment-then-classify' && manifest.recipe !== 'retinanet-3d') throw new AppError('model-load-failed', { detail: `The recipe ${manifest.recipe} does not detect nodules` });
  return manifest;
}
