import { describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { parseManifest } from './manifest.js';
import { manifestOfMonaiBundle } from './monai-bundle.js';
import { callOf, componentOf, resolved } from './monai-config.js';

const files = [{ path: 'models/model.onnx', sha256: 'a'.repeat(64) }];

/** In the shape of MONAI's lung_nodule_ct_detection. */
const lung = {
  version: '0.6.9', name: 'CT lung nodule detection', task: 'CT lung nodule detection', description: 'Lung nodules in CT by a RetinaNet', intended_use: 'An example', data_source: 'LUNA16',
  eval_metrics: { mAP: 0.85, note: 'fold 0' },
  network_data_format: {
    inputs: { image: { type: 'image', modality: 'CT', num_channels: 1, spatial_shape: ['16*n', '16*n', '8*n'], dtype: 'float32', value_range: [0, 1], channel_def: { 0: 'image' } } },
    outputs: { pred: { type: 'object', format: 'dict', num_channels: 1, spatial_shape: ['n', 'n', 'n'] } },
  },
};
const lungInference = {
  spatial_dims: 3, num_classes: 1, size_divisible: [32, 32, 16], patch: [256, 256, 96], force_sliding_window: true,
  anchor_generator: { _target_: 'monai.apps.detection.utils.anchor_utils.AnchorGeneratorWithAnchorShape', feature_map_scales: [1, 2], base_anchor_shapes: [[6, 8, 4], [7, 7, 7]] },
  network_def: { _target_: 'RetinaNet', num_classes: '@num_classes', size_divisible: '@size_divisible' },
  detector: { _target_: 'RetinaNetDetector', network: '$@network_def.to(@device)' },
  detector_ops: [
    "$@detector.set_target_keys(box_key='box', label_key='label')",
    '$@detector.set_box_selector_parameters(score_thresh=0.1,topk_candidates_per_level=500,nms_thresh=0.3,detections_per_img=100)',
    "$@detector.set_sliding_window_inferer(roi_size=@patch,overlap=0.4,sw_batch_size=2,mode='gaussian',device='cpu')",
  ],
  inferer: { _target_: 'scripts.detection_inferer.RetinaNetInferer', force_sliding_window: '@force_sliding_window' },
  preprocessing: { _target_: 'Compose', transforms: [
    { _target_: 'Orientationd', keys: 'image', axcodes: 'RAS' },
    { _target_: 'Spacingd', keys: 'image', pixdim: [0.7, 0.7, 1], _disabled_: '$not @raw' },
    { _target_: 'ScaleIntensityRanged', keys: 'image', a_min: -1000.0, a_max: 400.0, b_min: 0.0, b_max: 1.0, clip: true },
  ] },
};

/** In the shape of MONAI's brats_mri_segmentation. */
const brain = {
  version: '0.5.3', name: 'BraTS MRI segmentation', task: 'Multimodal Brain Tumor segmentation', eval_metrics: { val_mean_dice: 0.85 },
  network_data_format: {
    inputs: { image: { modality: 'MR', num_channels: 4, dtype: 'float32', channel_def: { 0: 'T1c', 1: 'T1', 2: 'T2', 3: 'FLAIR' } } },
    outputs: { pred: { format: 'segmentation', num_channels: 3, channel_def: { 0: 'Tumor core', 1: 'Whole tumor', 2: 'Enhancing tumor' } } },
  },
};
const brainInference = {
  preprocessing: { transforms: [{ _target_: 'NormalizeIntensityd', keys: 'image', nonzero: true, channel_wise: true }] },
  inferer: { _target_: 'SlidingWindowInferer', roi_size: [240, 240, 160], sw_batch_size: 1, overlap: 0.5 },
  postprocessing: { transforms: [{ _target_: 'Activationsd', sigmoid: true }, { _target_: 'AsDiscreted', threshold: 0.5 }] },
};

const detailOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError && error.code === 'manifest-invalid') return error.message;
    throw error;
  }
  return 'fine';
};

describe('the manifest of a MONAI bundle', () => {
  it('for lung nodules has every number of inference.json, through references and calls', () => {
    const manifest = parseManifest(manifestOfMonaiBundle(lung, lungInference, files));
    expect(manifest).toMatchObject({
      name: 'ct-lung-nodule-detection', version: '0.6.9', recipe: 'retinanet-3d', analysis: 'lung-nodule-detection', files,
      network: { path: 'models/model.onnx', input: { shape: ['batch', 1, 'x', 'y', 'z'] }, classes: 1, levels: [{ anchorScale: 1 }, { anchorScale: 2 }] },
      preprocessing: { axes: 'RAS', spacingMm: [0.7, 0.7, 1], intensity: { from: [-1000, 400], to: [0, 1], clip: true }, divisibleBy: [32, 32, 16] },
      window: { size: [256, 256, 96], overlap: 0.4, batch: 2, blending: 'gaussian', sigmaScale: 0.125 },
      wholeWhenSmaller: false,
      anchors: { shapes: [[6, 8, 4], [7, 7, 7]] },
      boxCoder: { weights: [1, 1, 1, 1, 1, 1], maxLogScale: Math.log(62.5) },
      postprocessing: { activation: 'sigmoid', scoreThreshold: 0.1, topPerLevel: 500, nmsIou: 0.3, maxDetections: 100 },
      validation: [{ dataset: 'LUNA16', metric: 'mAP', value: 0.85 }],
    });
  });

  it('for lung nodules without inference.json has the numbers of the published bundle', () => {
    expect(parseManifest(manifestOfMonaiBundle(lung, undefined, files))).toMatchObject({
      preprocessing: { axes: 'RAS', spacingMm: [0.703125, 0.703125, 1.25], intensity: { from: [-1024, 300], to: [0, 1], clip: true }, divisibleBy: [16, 16, 8] },
      window: { size: [512, 512, 192], overlap: 0.25, batch: 1, blending: 'constant' },
      wholeWhenSmaller: true,
      anchors: { shapes: [[6, 8, 4], [8, 6, 5], [10, 10, 6]] },
      postprocessing: { scoreThreshold: 0.02, topPerLevel: 1000, nmsIou: 0.22, maxDetections: 300 },
    });
  });

  it.each([['with', brainInference], ['without', undefined]])('for brain tumours %s inference.json has channels, window and values, from the inside out', (_, inference) => {
    expect(parseManifest(manifestOfMonaiBundle(brain, inference, files))).toMatchObject({
      name: 'brats-mri-segmentation', recipe: 'sliding-window-segmentation', analysis: 'brain-tumour-segmentation',
      network: { output: { channels: 3 } },
      channels: ['t1c', 't1', 't2', 'flair'],
      preprocessing: { axes: 'LPS', normalisation: 'z-score-nonzero' },
      window: { size: [240, 240, 160], overlap: 0.5, batch: 1, blending: 'constant' },
      postprocessing: { activation: 'sigmoid', threshold: 0.5, values: [{ channel: 2, value: 4 }, { channel: 0, value: 1 }, { channel: 1, value: 2 }] },
    });
  });

  it('takes MONAI\'s defaults where a bundle leaves them', () => {
    const { overlap: dropped, ...inferer } = brainInference.inferer;
    expect(dropped).toBe(0.5);
    expect(manifestOfMonaiBundle(brain, { inferer: { ...inferer, mode: 'gaussian' } }, files)).toMatchObject({ window: { overlap: 0.25, blending: 'gaussian', sigmaScale: 0.125 } });
  });

  it('says what is wrong with a bundle that it cannot take', () => {
    expect(detailOf(() => manifestOfMonaiBundle('text', undefined, files))).toContain('metadata.json');
    expect(detailOf(() => manifestOfMonaiBundle({ ...lung, version: undefined }, undefined, files))).toContain('/version');
    expect(detailOf(() => manifestOfMonaiBundle(lung, lungInference, []))).toContain('0 .onnx files');
    expect(detailOf(() => manifestOfMonaiBundle(lung, lungInference, [...files, ...files]))).toContain('2 .onnx files');
    const spleen = { ...lung, name: 'Spleen CT segmentation', task: 'Spleen', description: 'Spleen', network_data_format: { ...lung.network_data_format, outputs: { pred: { format: 'segmentation', num_channels: 2 } } } };
    expect(detailOf(() => manifestOfMonaiBundle(spleen, {}, files))).toContain('"Spleen CT segmentation" 0.6.9 is of no kind');
    const other = { ...brain, network_data_format: { ...brain.network_data_format, outputs: { pred: { format: 'segmentation', num_channels: 2, channel_def: { 0: 'background', 1: 'tumor' } } } } };
    expect(detailOf(() => manifestOfMonaiBundle(other, {}, files))).toContain('"background", "tumor"');
    const unnamed = { ...brain, network_data_format: { ...brain.network_data_format, inputs: { image: { modality: 'MR', num_channels: 4, channel_def: { 0: 'T1c', 1: 'T1', 2: 'T2', 3: 'PD' } } } } };
    expect(detailOf(() => parseManifest(manifestOfMonaiBundle(unnamed, {}, files)))).toContain('/channels/3');
  });
});

describe('a configuration of MONAI', () => {
  it('follows references into lists and components, and gives up on circles', () => {
    const config = { a: '@b::list#1', b: { list: [1, { c: 2 }] }, loop: '@loop', code: '$@a + 1' };
    expect(resolved(config, '@a')).toEqual({ c: 2 });
    expect(resolved(config, '@nothing::there')).toBeUndefined();
    expect(resolved(config, '@loop')).toBe('@loop');
    expect(resolved(config, '$@a + 1')).toBe('$@a + 1');
  });

  it('finds components and calls wherever they stand', () => {
    const config = { deep: [{ x: { _target_: 'monai.inferers.SlidingWindowInferer', overlap: 0.5 } }], ops: ["$@d.set_x(a=[1, 2],b=(3,4), c='five',d=True,e=@deep#0::x::overlap)"] };
    expect(componentOf(config, /SlidingWindowInferer$/)).toMatchObject({ overlap: 0.5 });
    expect(componentOf(config, /Nothing$/)).toBeUndefined();
    expect(callOf(config, 'set_x')).toEqual({ a: [1, 2], b: [3, 4], c: 'five', d: true, e: 0.5 });
    expect(callOf(config, 'set_y')).toBeUndefined();
  });
});
