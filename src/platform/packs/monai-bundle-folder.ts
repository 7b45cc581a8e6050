import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { manifestOfMonaiBundle } from '../../imaging/model/monai-bundle.js';
import { AppError } from '../../kernel/errors.js';
import { sha256OfFile } from './model-pack.js';

/** Where MONAI's tools put it, and where people who flatten a bundle do. */
const METADATA = ['configs/metadata.json', 'metadata.json'];
const INFERENCE = ['configs/inference.json', 'inference.json'];

/** Files or folders of which one at the top tells a pack. */
export const PACK_MARKS = ['manifest.json', 'metadata.json', 'configs'] as const;

/**
 * Writes the `manifest.json` of a folder that is a MONAI bundle with exported networks; does nothing where there is one.
 *
 * @param target  where it is written, the folder itself without it
 * @throws AppError `manifest-invalid` for a folder that is neither, and as `manifestOfMonaiBundle` does
 */
export async function manifestForBundle(folder: string, target = folder): Promise<'made' | 'there'> {
  const names = await readdir(folder);
  if (names.includes('manifest.json')) return 'there';
  const metadata = await firstJson(folder, METADATA);
  if (metadata === undefined) throw new AppError('manifest-invalid', { detail: 'There is neither a manifest.json nor a metadata.json in the pack.' });
  const files = await networksIn(folder);
  if (files.length === 0) throw new AppError('manifest-invalid', { detail: 'The MONAI bundle has no .onnx file. Export its network with `python -m monai.bundle onnx_export`.' });
  const manifest = manifestOfMonaiBundle(metadata, await firstJson(folder, INFERENCE), files);
  await writeFile(join(target, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`, { flag: 'wx' });
  return 'made';
}

async function networksIn(folder: string): Promise<{ path: string; sha256: string }[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const paths = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.onnx')).map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/')).sort();
  return Promise.all(paths.map(async (path) => ({ path, sha256: await sha256OfFile(join(folder, path)) })));
}

async function firstJson(folder: string, paths: readonly string[]): Promise<unknown> {
  for (const path of paths) {
    const text = await readFile(join(folder, path), 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw new AppError('manifest-invalid', { detail: `${path} is not JSON.`, cause: error });
    }
  }
  return undefined;
}
