import { z } from 'zod';
import { AppError, type FieldError } from '../../kernel/errors.js';
import { cascadedAnisotropicSchema } from './manifests/cascaded-anisotropic.js';
import { imageClassifierSchema } from './manifests/image-classifier.js';
import { retinanet3dSchema } from './manifests/retinanet-3d.js';
import { segmentThenClassifySchema } from './manifests/segment-then-classify.js';
import { slidingWindowSegmentationSchema } from './manifests/sliding-window-segmentation.js';
import { nearestKey } from './nearest-key.js';

/** Every analysis that the API knows. */
export const ANALYSIS_NAMES = ['chest-xray-classification', 'lung-nodule-detection', 'brain-tumour-segmentation'] as const;
export type AnalysisName = (typeof ANALYSIS_NAMES)[number];

const RECIPES = [imageClassifierSchema, segmentThenClassifySchema, retinanet3dSchema, slidingWindowSegmentationSchema, cascadedAnisotropicSchema] as const;

const manifestSchema = z.discriminatedUnion('recipe', RECIPES).meta({ id: 'ModelManifest' });

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
  const errors = parsed.error.issues.flatMap((issue) => fieldErrors(issue, json));
  throw new AppError('manifest-invalid', { detail: errors.map(({ pointer, detail }) => `${pointer === '' ? '/' : pointer}: ${detail}`).join('; '), errors });
}

function fieldErrors(issue: z.core.$ZodIssue, json: unknown): FieldError[] {
  if (issue.code !== 'unrecognized_keys') return [{ pointer: pointerOf(issue.path), detail: issue.message }];
  return issue.keys.map((key) => {
    const nearest = nearestKey(schemaOf(json), issue.path, key);
    return { pointer: pointerOf([...issue.path, key]), detail: nearest === undefined ? 'unknown key' : `unknown key; did you mean "${nearest}"?` };
  });
}

/** That of the recipe which the manifest names: keys of another recipe were not meant. */
function schemaOf(json: unknown): z.ZodType {
  const named = z.object({ recipe: z.string() }).safeParse(json);
  return RECIPES.find(({ shape }) => shape.recipe.value === named.data?.recipe) ?? manifestSchema;
}

/** @see RFC 6901 */
function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
