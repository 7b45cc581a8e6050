import { AppError } from '../../../kernel/errors.js';
import type { Manifest } from '../../model/manifest.js';
import type { ImageClassifierManifest } from '../../model/manifests/image-classifier.js';
import { check, classify, prepare } from '../../recipes/image-classifier.js';
import { notAnalysable, type Analysis } from '../analysis.js';
import { fits, select } from './eligibility.js';
import { conclude } from './postprocess.js';
import { decodeRadiograph, qualityFault } from './preprocess.js';

/** Which of a model's labels a frontal chest radiograph shows. */
export const chestXrayClassification: Analysis = {
  name: 'chest-xray-classification',
  fits: (study, manifest) => fits(study, classifier(manifest)),
  select: (study, manifest) => select(study, classifier(manifest)),
  check: async (manifest, networks) => check(classifier(manifest), await networks(networkOf(manifest))),
  async analyse({ series: [radiograph], instances: [instance] }, { networks, codec, manifest, stage, progress }) {
    const frame = radiograph?.frames[0];
    if (radiograph === undefined || frame === undefined || instance === undefined) return notAnalysable('no-suitable-image', 'The study has no image for this analysis.');
    const model = classifier(manifest);
    const session = await stage('load', () => networks(networkOf(manifest)));
    const image = await stage('decode', () => decodeRadiograph(instance.bytes, frame.frame, codec));
    const fault = qualityFault(image);
    if (fault) return fault;
    const input = await stage('prepare', () => prepare(image, model));
    const classification = await stage('infer', () => classify(input, model, session, progress));
    return stage('conclude', () => ({ ...conclude('chest-xray-classification', classification, frame), outOfDistribution: classification.outOfDistribution }));
  },
};

function classifier(manifest: Manifest): ImageClassifierManifest {
  if (manifest.recipe !== 'image-classifier') throw new AppError('model-load-failed', { detail: `The recipe ${manifest.recipe} does not classify images` });
  return manifest;
}

/** The schema sees to it that there is exactly one. */
function networkOf({ files }: Manifest): string {
  return files.find(({ path }) => path.endsWith('.onnx'))?.path ?? '';
}
