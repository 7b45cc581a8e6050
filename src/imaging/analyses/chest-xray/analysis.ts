import type { Analysis } from '../analysis.js';
import { check, classify, prepare } from '../../recipes/image-classifier.js';
import { fits, select } from './eligibility.js';
import { conclude } from './postprocess.js';
import { decodeRadiograph, qualityFault } from './preprocess.js';

/** Which of a model's labels a frontal chest radiograph shows. */
export const chestXrayClassification: Analysis = {
  name: 'chest-xray-classification',
  fits,
  select,
  check,
  async analyse([radiograph], { session, codec, manifest, stage, progress }) {
    if (radiograph === undefined) return { kind: 'not-analysable', code: 'no-suitable-image', detail: 'The study has no image for this analysis.' };
    const image = await stage('decode', () => decodeRadiograph(radiograph, codec));
    const fault = qualityFault(image);
    if (fault) return fault;
    const input = await stage('prepare', () => prepare(image, manifest));
    const classification = await stage('infer', () => classify(input, manifest, session, progress));
    return stage('conclude', () => conclude('chest-xray-classification', classification, radiograph));
  },
};
