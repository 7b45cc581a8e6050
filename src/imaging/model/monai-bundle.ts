import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { callOf, componentOf, isConfig, resolved, type MonaiConfig } from './monai-config.js';

/** A file of a bundle that a manifest may name. */
export interface BundleFile {
  /** Relative to the bundle's folder. */
  path: string;
  /** Lower-case hex. */
  sha256: string;
}

/** What is read of a bundle's `configs/metadata.json`. @see https://docs.monai.io/en/stable/mb_specification.html */
const metadataSchema = z.object({
  name: z.string().optional(),
  version: z.string(),
  task: z.string().optional(),
  description: z.string().optional(),
  intended_use: z.string().optional(),
  license: z.string().optional(),
  data_source: z.string().optional(),
  eval_metrics: z.record(z.string(), z.unknown()).optional(),
  network_data_format: z.object({
    inputs: z.record(z.string(), z.object({ modality: z.string().optional(), num_channels: z.int().min(1), dtype: z.string().optional(), channel_def: z.record(z.string(), z.string()).optional() })),
    outputs: z.record(z.string(), z.object({ format: z.string().optional(), num_channels: z.int().min(1), channel_def: z.record(z.string(), z.string()).optional() })),
  }),
});
type Metadata = z.output<typeof metadataSchema>;

/** MONAI's default of `BoxCoder`. */
const MAX_LOG_SCALE = Math.log(1000 / 16);

/**
 * Makes a manifest of a MONAI bundle. The numbers of a recipe stand in the bundle's `inference.json`; where that says nothing, those of
 * the published bundle hold. Tensors get no names: `monai.bundle onnx_export` keeps none, and the network's order tells.
 *
 * @param metadata  the parsed `metadata.json`
 * @param inference  the parsed `inference.json`, where the bundle has one
 * @param files  the bundle's `.onnx` files
 * @returns what `parseManifest` takes
 * @throws AppError `manifest-invalid` for a bundle whose recipe the product does not have
 * @see bundles lung_nodule_ct_detection and brats_mri_segmentation of MONAI's model zoo
 */
export function manifestOfMonaiBundle(metadata: unknown, inference: unknown, files: readonly BundleFile[]): unknown {
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success) throw new AppError('manifest-invalid', { detail: `metadata.json of the MONAI bundle: ${parsed.error.issues.map(({ path, message }) => `/${path.join('/')}: ${message}`).join('; ')}` });
  const config = isConfig(inference) ? inference : {};
  const network = files[0];
  if (network === undefined || files.length > 1) throw new AppError('manifest-invalid', { detail: `The MONAI bundle has ${files.length} .onnx files; it must have one.` });
  const { inputs, outputs } = parsed.data.network_data_format;
  const [input, output] = [Object.values(inputs)[0], Object.values(outputs)[0]];
  const about = [parsed.data.name, parsed.data.task, parsed.data.description].join(' ');
  const retinanet = componentOf(config, /RetinaNet(Detector)?$/) !== undefined || (/nodule/i.test(about) && output?.format !== 'segmentation');
  if (input?.modality === 'CT' && retinanet) return lungNodules(parsed.data, config, files, network.path, input);
  if (input?.modality === 'MR' && output?.format === 'segmentation' && Object.keys(input.channel_def ?? {}).length > 1) return brainTumour(parsed.data, config, files, network.path, input, output);
  throw new AppError('manifest-invalid', { detail: `The MONAI bundle "${parsed.data.name ?? parsed.data.task ?? ''}" ${parsed.data.version} is of no kind that the product reads. Write a manifest.json for it.` });
}

type Input = Metadata['network_data_format']['inputs'][string];
type Output = Metadata['network_data_format']['outputs'][string];

function lungNodules(metadata: Metadata, config: MonaiConfig, files: readonly BundleFile[], path: string, input: Input): unknown {
  const anchors = componentOf(config, /AnchorGeneratorWithAnchorShape$/);
  const selector = callOf(config, 'set_box_selector_parameters');
  const inferer = callOf(config, 'set_sliding_window_inferer');
  const weights = callOf(config, 'set_box_coder_weights');
  const intensity = componentOf(config, /ScaleIntensityRanged?$/);
  const read = reader(config);
  return {
    ...described(metadata, files),
    analysis: 'lung-nodule-detection',
    recipe: 'retinanet-3d',
    domain: { modalities: ['CT'], bodyParts: ['CHEST', 'LUNG', 'THORAX'] },
    network: {
      path,
      input: { shape: ['batch', input.num_channels, 'x', 'y', 'z'], type: typeOf(input) },
      classes: read(componentOf(config, /RetinaNet$/), 'num_classes', 1),
      levels: asList(read(anchors, 'feature_map_scales', [1, 2, 4])).map((anchorScale) => ({ anchorScale })),
    },
    preprocessing: {
      axes: read(componentOf(config, /Orientationd?$/), 'axcodes', 'RAS'),
      spacingMm: read(componentOf(config, /Spacingd?$/), 'pixdim', [0.703125, 0.703125, 1.25]),
      intensity: {
        from: [read(intensity, 'a_min', -1024), read(intensity, 'a_max', 300)],
        to: [read(intensity, 'b_min', 0), read(intensity, 'b_max', 1)],
        clip: read(intensity, 'clip', intensity === undefined),
      },
      divisibleBy: read(componentOf(config, /RetinaNet$/), 'size_divisible', [16, 16, 8]),
    },
    window: windowOf(inferer, read, { roi_size: [512, 512, 192], overlap: 0.25 }),
    wholeWhenSmaller: read(componentOf(config, /RetinaNetInferer$/), 'force_sliding_window', false) !== true,
    anchors: { shapes: read(anchors, 'base_anchor_shapes', [[6, 8, 4], [8, 6, 5], [10, 10, 6]]) },
    boxCoder: { weights: read(weights, 'weights', [1, 1, 1, 1, 1, 1]), maxLogScale: MAX_LOG_SCALE },
    postprocessing: {
      activation: read(selector, 'apply_sigmoid', true) === false ? 'none' : 'sigmoid',
      scoreThreshold: read(selector, 'score_thresh', 0.02),
      topPerLevel: read(selector, 'topk_candidates_per_level', 1000),
      nmsIou: read(selector, 'nms_thresh', 0.22),
      maxDetections: read(selector, 'detections_per_img', 300),
    },
    labels: [{ index: 0, name: 'Nodule', names: { 'zh-CN': '结节' }, code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, threshold: 0.5 }],
  };
}

/** Values as BraTS has them, by what a channel is called. */
const REGIONS = [
  { pattern: /enhanc|^ET$/i, value: 4, name: 'Enhancing tumour' },
  { pattern: /core|^TC$/i, value: 1, name: 'Tumour core' },
  { pattern: /whole|^WT$/i, value: 2, name: 'Whole tumour' },
] as const;

const SEQUENCES: Readonly<Record<string, string>> = { t1: 't1', t1c: 't1c', t1ce: 't1c', t1gd: 't1c', t2: 't2', flair: 'flair', t2flair: 'flair' };

function brainTumour(metadata: Metadata, config: MonaiConfig, files: readonly BundleFile[], path: string, input: Input, output: Output): unknown {
  const read = reader(config);
  const inferer = componentOf(config, /SlidingWindowInferer(Adapt)?$/);
  const normalise = componentOf(config, /NormalizeIntensityd?$/);
  const spacing = componentOf(config, /Spacingd?$/);
  const named = Object.entries(output.channel_def ?? {}).map(([channel, name]) => ({ channel: Number(channel), name }));
  // From the inside out: enhancing lies in the core, the core in the whole.
  const regions = REGIONS.flatMap((region) => named.filter(({ name }) => region.pattern.test(name)).map(({ channel }) => ({ ...region, channel })));
  if (regions.length !== output.num_channels) throw new AppError('manifest-invalid', { detail: `The MONAI bundle's output channels are ${named.map(({ name }) => `"${name}"`).join(', ')}; enhancing tumour, tumour core and whole tumour were expected. Write a manifest.json for it.` });
  return {
    ...described(metadata, files),
    analysis: 'brain-tumour-segmentation',
    recipe: 'sliding-window-segmentation',
    domain: { modalities: ['MR'], bodyParts: ['BRAIN', 'HEAD'] },
    network: { path, input: { shape: ['batch', input.num_channels, 'x', 'y', 'z'], type: typeOf(input) }, output: { channels: output.num_channels } },
    channels: Object.entries(input.channel_def ?? {}).sort(([a], [b]) => Number(a) - Number(b)).map(([, name]) => SEQUENCES[name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')] ?? name),
    preprocessing: {
      // A bundle that turns nothing was trained on files as they lie; those of BraTS run to the left, the back and the head.
      axes: read(componentOf(config, /Orientationd?$/), 'axcodes', 'LPS'),
      ...(spacing === undefined ? {} : { spacingMm: read(spacing, 'pixdim', [1, 1, 1]) }),
      normalisation: normalise === undefined || read(normalise, 'nonzero', false) === true ? 'z-score-nonzero' : 'z-score',
    },
    window: windowOf(inferer, read, { roi_size: [240, 240, 160], overlap: 0.5 }),
    postprocessing: { activation: 'sigmoid', threshold: read(componentOf(config, /AsDiscreted?$/), 'threshold', 0.5), values: regions.map(({ channel, value }) => ({ channel, value })) },
    labels: regions.map(({ channel, name }) => ({ index: channel, name, code: { system: 'SNOMED-CT', value: '126952004', meaning: 'Neoplasm of brain' }, threshold: 0.5 })),
  };
}

/** Reads a field of a component, with its references followed; what is absent or Python is as in the published bundle. */
type Read = (component: MonaiConfig | undefined, key: string, published: unknown) => unknown;

function reader(config: MonaiConfig): Read {
  return (component, key, published) => {
    const value = resolved(config, component?.[key]);
    return value === undefined || value === null || (typeof value === 'string' && /^[$@]/.test(value)) ? published : value;
  };
}

/** What the bundle says nothing of is MONAI's default once it says anything, and the published bundle's where it does not. */
function windowOf(inferer: MonaiConfig | undefined, read: Read, published: { roi_size: number[]; overlap: number }): unknown {
  const mode = read(inferer, 'mode', 'constant');
  return {
    size: read(inferer, 'roi_size', published.roi_size),
    overlap: read(inferer, 'overlap', inferer === undefined ? published.overlap : 0.25),
    batch: read(inferer, 'sw_batch_size', 1),
    ...(mode === 'gaussian' ? { blending: 'gaussian', sigmaScale: read(inferer, 'sigma_scale', 0.125) } : { blending: 'constant' }),
  };
}

function described(metadata: Metadata, files: readonly BundleFile[]): Record<string, unknown> {
  const { name, version, task, description, intended_use: intendedUse, license, data_source: dataset, eval_metrics: metrics } = metadata;
  const title = name ?? task ?? 'MONAI bundle';
  return {
    manifestVersion: 1,
    name: title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '').slice(0, 63),
    version,
    title: description ?? title,
    license: license ?? 'As in the bundle (docs/license.txt)',
    intendedUse: intendedUse ?? 'Not stated by the bundle',
    files: files.map(({ path, sha256 }) => ({ path, sha256 })),
    validation: Object.entries(metrics ?? {}).flatMap(([metric, value]) => (typeof value === 'number' ? [{ dataset: dataset ?? title, split: 'validation', metric, value }] : [])),
  };
}

function typeOf({ dtype }: Input): string {
  // Old bundles say float16 of what ran under autocast. It is a hint: the session gives the network what it takes.
  return dtype === 'float16' ? 'float16' : 'float32';
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}
