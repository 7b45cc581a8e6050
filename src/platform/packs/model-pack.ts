import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { modelDigest } from '../../imaging/model/digest.js';
import { parseManifest, type Manifest } from '../../imaging/model/manifest.js';
import { AppError } from '../../kernel/errors.js';

export interface PackFile {
  /** As the manifest names it. */
  path: string;
  sha256: string;
  /** Absolute. */
  file: string;
  sizeBytes: number;
}

/** A pack on disk whose files are what its manifest says. */
export interface ModelPack {
  folder: string;
  manifest: Manifest;
  /** As they are on disk: another layout is another model. */
  manifestBytes: Buffer;
  /** `sha256:<hex>` over manifest and files. */
  digest: string;
  files: readonly PackFile[];
}

/** More than any manifest of ours; what is larger is something else. */
const MOST_MANIFEST_BYTES = 4 * 2 ** 20;

/**
 * Reads a pack and compares every file with its sha256.
 *
 * @param weights  where files lie that are not beside the manifest
 * @throws AppError `manifest-invalid`; for a fault of the manifest with its JSON pointer and the nearest valid key
 */
export async function readModelPack(folder: string, weights?: string): Promise<ModelPack> {
  const path = join(folder, 'manifest.json');
  const about = await stat(path).catch((error: unknown) => {
    throw new AppError('manifest-invalid', { detail: 'There is no readable manifest.json in the pack.', cause: error });
  });
  if (about.size > MOST_MANIFEST_BYTES) throw new AppError('manifest-invalid', { detail: 'manifest.json is too large to be one.' });
  const manifestBytes = await readFile(path);
  const manifest = parseManifest(parseJson(manifestBytes));
  const files = await Promise.all(manifest.files.map((named) => readPackFile(named, folder, weights)));
  return { folder, manifest, manifestBytes, digest: modelDigest(manifestBytes, files), files };
}

async function readPackFile({ path, sha256 }: Manifest['files'][number], folder: string, weights: string | undefined): Promise<PackFile> {
  const found = await firstFile([folder, ...(weights === undefined ? [] : [weights])].map((place) => join(place, path)));
  if (!found) throw new AppError('manifest-invalid', { detail: `${path} is not in the pack${weights === undefined ? '' : ` and not in ${weights}`}.` });
  const digest = await sha256OfFile(found.file);
  if (digest !== sha256) throw new AppError('manifest-invalid', { detail: `${path} has the sha256 ${digest}, the manifest says ${sha256}.` });
  return { path, sha256, ...found };
}

/** In lower-case hex. */
export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new AppError('manifest-invalid', { detail: 'manifest.json is not JSON.', cause: error });
  }
}

async function firstFile(candidates: readonly string[]): Promise<{ file: string; sizeBytes: number } | undefined> {
  for (const file of candidates) {
    const about = await stat(file).catch(() => undefined);
    if (about?.isFile() === true) return { file, sizeBytes: about.size };
  }
  return undefined;
}
