import { z } from 'zod';
import { AppError, type FieldError } from '../../kernel/errors.js';
import { codeSchema } from '../report/finding.js';
import { nearestKey } from './nearest-key.js';

/** Every analysis that the API knows, with code or not yet. */
export const ANALYSIS_NAMES = ['chest-xray-classification', 'lung-nodule-detection', 'brain-tumour-segmentation'] as const;
export type AnalysisName = (typeof ANALYSIS_NAMES)[number];

export const RECIPE_NAMES = ['image-classifier'] as const;

const sentence = z.string().trim().min(1);
const dimension = z.union([z.int().min(1), z.string().min(1)]);
const whetherInside = z.enum(['inside', 'outside']);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex');
const semver = z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'must be a semantic version such as 1.0.0');
const modelName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and dashes');
const filePath = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/, 'must be a relative path inside the pack');

/** Studies that a model was made for. Ages count as people count them: `max: 5` takes a child up to its sixth birthday. */
export const domainSchema = z
  .strictObject({
    modalities: z.array(z.string().min(1)).min(1),
    bodyParts: z.array(z.string().min(1)).min(1),
    viewPositions: z.array(z.string().min(1)).optional(),
    ageYears: z.strictObject({ min: z.number().min(0), max: z.number().min(0) }).refine(({ min, max }) => min <= max, 'min is above max').optional(),
    unknownAge: whetherInside.default('outside'),
    unknownView: whetherInside.default('inside'),
    unknownBodyPart: whetherInside.default('inside'),
  })
  .meta({ id: 'ModelDomain', description: 'Studies that the model was made for' });

export const modelLabelSchema = z
  .strictObject({
    index: z.int().min(0),
    name: sentence,
    names: z.record(z.string(), sentence).optional(),
    code: codeSchema,
    threshold: z.number().min(0).max(1),
    /** A person must be told at once when it is positive. */
    critical: z.boolean().default(false),
    /** A disabled label is computed and not reported. */
    enabled: z.boolean().default(true),
  })
  .meta({ id: 'ModelLabel' });

const output = z.strictObject({ name: sentence, shape: z.array(dimension) });

const calibration = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('none') }),
  /** Platt 1999: sigmoid(slope × logit + intercept). */
  z.strictObject({ method: z.literal('platt'), slope: z.number().positive(), intercept: z.number() }),
  /** Guo et al. 2017: logits divided by the temperature. */
  z.strictObject({ method: z.literal('temperature'), temperature: z.number().positive() }),
]);

const manifestSchema = z
  .strictObject({
    manifestVersion: z.literal(1),
    name: modelName,
    version: semver,
    title: sentence,
    license: sentence,
    intendedUse: sentence,
    analysis: z.enum(ANALYSIS_NAMES),
    recipe: z.enum(RECIPE_NAMES),
    domain: domainSchema,
    files: z.array(z.strictObject({ path: filePath, sha256 })).min(1),
    input: z.strictObject({
      name: sentence,
      shape: z.tuple([z.union([z.literal('batch'), z.literal(1)]), z.union([z.literal(1), z.literal(3)]), z.int().min(1), z.int().min(1)]),
      type: z.enum(['float32', 'float16']),
    }),
    outputs: z.strictObject({ logits: output.refine(({ shape }) => shape.length === 2, 'must have two dimensions'), activationMap: output.refine(({ shape }) => shape.length === 4, 'must have four dimensions').optional() }),
    preprocessing: z.strictObject({
      crop: z.enum(['centre-square', 'none']),
      resize: z.strictObject({ height: z.int().min(1), width: z.int().min(1), interpolation: z.enum(['area', 'bilinear']) }),
      scale: z.number().positive(),
      mean: z.array(z.number()).min(1),
      std: z.array(z.number().positive()).min(1),
    }),
    postprocessing: z.strictObject({ activation: z.enum(['sigmoid', 'softmax', 'none']), calibration }),
    labels: z.array(modelLabelSchema).min(1),
    validation: z.array(z.strictObject({ dataset: sentence, split: sentence, metric: sentence, label: z.string().optional(), value: z.number(), ci95: z.tuple([z.number(), z.number()]).optional(), n: z.int().min(1).optional() })),
  })
  .superRefine((manifest, context) => {
    const fault = (path: (string | number)[], message: string): void => { context.addIssue({ code: 'custom', path, message }); };
    const [, channels, height, width] = manifest.input.shape;
    const { resize, mean, std } = manifest.preprocessing;
    if (resize.height !== height) fault(['preprocessing', 'resize', 'height'], `is not the input's height ${height}`);
    if (resize.width !== width) fault(['preprocessing', 'resize', 'width'], `is not the input's width ${width}`);
    for (const [key, list] of [['mean', mean], ['std', std]] as const) {
      if (list.length !== channels) fault(['preprocessing', key], `must have ${channels === 1 ? 'one number' : '3 numbers'}, one for each channel`);
    }
    const { activation, calibration: { method } } = manifest.postprocessing;
    if (method === 'platt' && activation !== 'sigmoid') fault(['postprocessing', 'calibration', 'method'], 'platt goes with the activation sigmoid only');
    if (method === 'temperature' && activation === 'none') fault(['postprocessing', 'calibration', 'method'], 'temperature needs logits, and the activation is none');
    const count = manifest.outputs.logits.shape[1];
    for (const [i, label] of manifest.labels.entries()) {
      if (typeof count === 'number' && label.index >= count) fault(['labels', i, 'index'], `the output has ${count} numbers`);
      if (manifest.labels.findIndex(({ index }) => index === label.index) !== i) fault(['labels', i, 'index'], 'is taken by another label');
      if (manifest.labels.findIndex(({ name }) => name === label.name) !== i) fault(['labels', i, 'name'], 'is taken by another label');
    }
    if (!manifest.labels.some(({ enabled }) => enabled)) fault(['labels'], 'all labels are disabled');
    if (manifest.files.filter(({ path }) => path.endsWith('.onnx')).length !== 1) fault(['files'], 'must name exactly one .onnx file');
    for (const [i, { path }] of manifest.files.entries()) {
      if (path === 'manifest.json' || manifest.files.findIndex((other) => other.path === path) !== i) fault(['files', i, 'path'], 'is named twice');
    }
  })
  .meta({ id: 'ModelManifest' });

/** What a model pack says of itself, with defaults filled in. */
export type Manifest = z.output<typeof manifestSchema>;
export type ModelDomain = Manifest['domain'];
export type ModelLabel = Manifest['labels'][number];

/**
 * @param json  the parsed `manifest.json`
 * @throws AppError `manifest-invalid`; every fault with its JSON pointer, and for an unknown key the nearest valid one
 */
export function parseManifest(json: unknown): Manifest {
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.flatMap(fieldErrors);
  throw new AppError('manifest-invalid', { detail: errors.map(({ pointer, detail }) => `${pointer === '' ? '/' : pointer}: ${detail}`).join('; '), errors });
}

function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code !== 'unrecognized_keys') return [{ pointer: pointerOf(issue.path), detail: issue.message }];
  return issue.keys.map((key) => {
    const nearest = nearestKey(manifestSchema, issue.path, key);
    return { pointer: pointerOf([...issue.path, key]), detail: nearest === undefined ? 'unknown key' : `unknown key; did you mean "${nearest}"?` };
  });
}

/** @see RFC 6901 */
function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
