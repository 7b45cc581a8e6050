import { z } from 'zod';
import { codeSchema } from '../../report/finding.js';

export const sentence = z.string().trim().min(1);
export const dimension = z.union([z.int().min(1), z.string().min(1)]);
const whetherInside = z.enum(['inside', 'outside']);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex');
const semver = z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'must be a semantic version such as 1.0.0');
const modelName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and dashes');
export const filePath = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/, 'must be a relative path inside the pack');

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
    /** Of volumes. The thickness of slices, and the distance between their middles. */
    sliceThicknessMm: z.strictObject({ max: z.number().positive() }).optional(),
    sliceSpacingMm: z.strictObject({ max: z.number().positive() }).optional(),
    minSlices: z.int().min(1).optional(),
    maxSlices: z.int().min(1).optional(),
    /** From the middle of the first to that of the last slice. */
    minCoverageMm: z.number().positive().optional(),
    /** The plane that slices must be nearest to, and by how many degrees they may lean. */
    plane: z.enum(['axial', 'any']).optional(),
    maxObliquityDegrees: z.number().min(0).max(90).optional(),
    /** Of the gantry: the way from slice to slice against the normal of the slices. */
    maxTiltDegrees: z.number().min(0).max(90).optional(),
    /** Reconstruction kernels that are read, the preferred one first; `sharp` is what lung and bone are shown with. */
    kernels: z.array(z.enum(['soft', 'sharp', 'unknown'])).min(1).refine((kernels) => new Set(kernels).size === kernels.length, 'names a kernel twice').optional(),
    /** Sequences that must be there. */
    sequences: z.array(z.enum(['t1', 't1c', 't2', 'flair'])).min(1).optional(),
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
    /** A disabled label is computed and not reported: it has no probability, draws nothing and is never positive. */
    enabled: z.boolean().default(true),
    /** Why it is disabled: there were too few cases to measure how good it is, or it was measured and is not good enough. */
    disabledBecause: z.enum(['unmeasured', 'inaccurate']).optional(),
  })
  .refine(({ enabled, disabledBecause }) => !enabled || disabledBecause === undefined, { path: ['disabledBecause'], message: 'goes with "enabled": false only' })
  .meta({ id: 'ModelLabel' });

/** What a model takes; the product measures memory itself and goes by the larger figure. */
const resourcesSchema = z
  .strictObject({
    /** MiB that one run takes at most, network and images together. */
    peakMemoryMb: z.int().min(1).max(4_194_304).optional(),
    /** Longer than this no run takes; one that does is ended. */
    timeLimitSeconds: z.int().min(1).max(86_400).optional(),
    /** Runs that may go through the network together. */
    batch: z.int().min(1).max(64).optional(),
  })
  .meta({ id: 'ModelResources' });

/** How the model tells that it was made with other images than those that it is given. */
const outOfDistributionSchema = z
  .strictObject({
    /** Of the network, float32 `[batch, 1]`: one number for each image or window, the larger, the stranger. Of several networks, of the one that looks at the whole input first. */
    output: sentence,
    /** An input is strange above it; of windows their median counts. */
    threshold: z.number(),
    /** Share of inputs like those of the training that are called strange all the same, and on how many it was measured. */
    falseAlarmRate: z.number().min(0).max(1),
    n: z.int().min(1),
  })
  .meta({ id: 'ModelOutOfDistribution' });

/** What every manifest says, whatever runs the model. */
export const baseShape = {
  manifestVersion: z.literal(1),
  name: modelName,
  version: semver,
  title: sentence,
  license: sentence,
  intendedUse: sentence,
  domain: domainSchema,
  files: z.array(z.strictObject({ path: filePath, sha256 })).min(1),
  labels: z.array(modelLabelSchema).min(1),
  resources: resourcesSchema.optional(),
  outOfDistribution: outOfDistributionSchema.optional(),
  validation: z.array(z.strictObject({ dataset: sentence, split: sentence, metric: sentence, label: z.string().optional(), value: z.number(), ci95: z.tuple([z.number(), z.number()]).optional(), n: z.int().min(1).optional() })),
};

/** Adds a fault at a path of the manifest. */
export type Fault = (path: (string | number)[], message: string) => void;

interface BaseManifest {
  files: readonly { path: string }[];
  labels: readonly { index: number; name: string; enabled: boolean }[];
}

/** What no schema of one field can say. @param networks  the paths of the .onnx files that the recipe reads */
export function baseFaults({ files, labels }: BaseManifest, networks: readonly { path: string; at: (string | number)[] }[], fault: Fault): void {
  for (const [i, label] of labels.entries()) {
    if (labels.findIndex(({ index }) => index === label.index) !== i) fault(['labels', i, 'index'], 'is taken by another label');
    if (labels.findIndex(({ name }) => name === label.name) !== i) fault(['labels', i, 'name'], 'is taken by another label');
  }
  if (!labels.some(({ enabled }) => enabled)) fault(['labels'], 'all labels are disabled');
  for (const [i, { path }] of files.entries()) {
    if (path === 'manifest.json' || files.findIndex((other) => other.path === path) !== i) fault(['files', i, 'path'], 'is named twice');
  }
  for (const { path, at } of networks) {
    if (!files.some((file) => file.path === path)) fault(at, 'is not one of the files');
  }
}
