import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../kernel/digest.js';
import { AppError } from '../../kernel/errors.js';
import { modelDigest } from '../../imaging/model/digest.js';
import { parseManifest, type Manifest } from '../../imaging/model/manifest.js';

/** A pack on disk whose files are what its manifest says. */
export interface ModelPack {
  folder: string;
  manifest: Manifest;
  /** `sha256:<hex>` over manifest and files. */
  digest: string;
  files: readonly { path: string; sha256: string; /** Absolute. */ file: string }[];
}

/**
 * Reads a pack and compares every file with its sha256.
 *
 * @param weights  where files lie that are not beside the manifest
 * @throws AppError `manifest-invalid`
 */
export async function readModelPack(folder: string, weights?: string): Promise<ModelPack> {
  const bytes = await readFile(join(folder, 'manifest.json')).catch((error: unknown) => {
    throw new AppError('manifest-invalid', { detail: `There is no readable manifest.json in ${folder}.`, cause: error });
  });
  const manifest = parseManifest(parseJson(bytes.toString('utf8'), folder));
  const files = [];
  for (const { path, sha256 } of manifest.files) {
    const file = await firstFile([folder, ...(weights === undefined ? [] : [weights])].map((place) => join(place, path)));
    if (file === undefined) throw new AppError('manifest-invalid', { detail: `${path} is not in ${folder}${weights === undefined ? '; name the folder of the weights with --weights' : ` and not in ${weights}`}.` });
    const found = sha256Hex(await readFile(file));
    if (found !== sha256) throw new AppError('manifest-invalid', { detail: `${path} has the sha256 ${found}, the manifest says ${sha256}.` });
    files.push({ path, sha256, file });
  }
  return { folder, manifest, digest: modelDigest(bytes, files), files };
}

function parseJson(text: string, folder: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError('manifest-invalid', { detail: `manifest.json in ${folder} is not JSON.`, cause: error });
  }
}

async function firstFile(candidates: readonly string[]): Promise<string | undefined> {
  for (const candidate of candidates) if (await stat(candidate).then((about) => about.isFile(), () => false)) return candidate;
  return undefined;
}
