import { AppError } from '../../kernel/errors.js';

/** A file of a bundle that a manifest may name. */
export interface BundleFile {
  /** Relative to the bundle's folder. */
  path: string;
  /** Lower-case hex. */
  sha256: string;
}

/** What is read of a bundle's `configs/metadata.json`. @see https://docs.monai.io/en/stable/mb_specification.html */
interface BundleMetadata {
  name?: string;
  version?: string;
}

/**
 * Makes a manifest of a MONAI bundle. The numbers of a recipe stand in the bundle's `inference.json`; where that says nothing, those of
 * the published bundle hold.
 *
 * @param metadata  the parsed `metadata.json`
 * @param inference  the parsed `inference.json`, where the bundle has one
 * @param files  the bundle's `.onnx` files
 * @returns what `parseManifest` takes
 * @throws AppError `manifest-invalid` for a bundle whose recipe the product does not have
 */
export function manifestOfMonaiBundle(metadata: unknown, inference: unknown, files: readonly BundleFile[]): unknown {
  const { name = '', version = '' } = typeof metadata === 'object' && metadata !== null ? (metadata as BundleMetadata) : {};
  void inference;
  void files;
  throw new AppError('manifest-invalid', { detail: `The MONAI bundle "${String(name)}" ${String(version)} is of no kind that the product reads. Write a manifest.json for it.` });
}
