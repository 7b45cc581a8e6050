import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { modelDigest, type HashedFile } from '../../../imaging/model/digest.js';
import { parseManifest, type Manifest } from '../../../imaging/model/manifest.js';
import { AppError } from '../../../kernel/errors.js';
import { checkSignature, type SignaturePolicy } from '../../../platform/packs/signature.js';

/** A model whose files are here and are what its manifest says. */
export interface InstalledModel {
  digest: string;
  manifest: Manifest;
  files: readonly { path: string; sha256: string; /** Absolute. */ file: string }[];
}

export interface RejectionReason {
  code: string;
  detail: string;
}

/** What one folder under MODELS_DIR holds. `rejected` still says which model it would have been. */
export type FolderReading =
  | { kind: 'installed'; folder: string; model: InstalledModel; signedBy: string | null }
  | { kind: 'rejected'; folder: string; name: string; version: string; analysis: string; recipe: string; digest: string; manifest: unknown; reason: RejectionReason }
  | { kind: 'unreadable'; folder: string; reason: RejectionReason };

/** Enough of a broken manifest to list it. */
const identitySchema = z.object({ name: z.string().min(1).max(100), version: z.string().min(1).max(100), analysis: z.string().catch(''), recipe: z.string().catch(''), files: z.array(z.object({ path: z.string(), sha256: z.string() })).catch([]) });

/** Reads every folder with a `manifest.json`, in the order of their names. A broken pack is an answer, never an error. */
export async function readModelFolders(modelsDir: string, policy: SignaturePolicy = { signers: [], required: false }): Promise<FolderReading[]> {
  const entries = await readdir(modelsDir, { withFileTypes: true });
  const readings: FolderReading[] = [];
  for (const { name } of entries.filter((entry) => !entry.name.startsWith('.')).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const folder = join(modelsDir, name);
    const bytes = await readFile(join(folder, 'manifest.json')).catch(() => undefined);
    if (bytes !== undefined) readings.push(await readModelFolder(folder, bytes, policy));
  }
  return readings;
}

async function readModelFolder(folder: string, bytes: Uint8Array, policy: SignaturePolicy): Promise<FolderReading> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return { kind: 'unreadable', folder, reason: { code: 'manifest-invalid', detail: 'manifest.json is not JSON' } };
  }
  try {
    const manifest = parseManifest(json);
    const { hashed, faults } = await hashFiles(folder, manifest.files);
    const digest = modelDigest(bytes, hashed);
    if (faults.length > 0) return { kind: 'rejected', folder, ...identityOf(manifest), digest, manifest: json, reason: { code: 'model-load-failed', detail: faults.join('; ') } };
    return { kind: 'installed', folder, signedBy: await checkSignature(folder, digest, policy), model: { digest, manifest, files: manifest.files.map(({ path, sha256 }) => ({ path, sha256, file: join(folder, path) })) } };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const reason = { code: error.code, detail: error.message };
    const identity = identitySchema.safeParse(json);
    if (!identity.success) return { kind: 'unreadable', folder, reason };
    // Files of a manifest that was not understood are left alone; its bytes tell it apart.
    return { kind: 'rejected', folder, ...identityOf(identity.data), digest: modelDigest(bytes, []), manifest: json, reason };
  }
}

function identityOf({ name, version, analysis, recipe }: { name: string; version: string; analysis: string; recipe: string }): { name: string; version: string; analysis: string; recipe: string } {
  return { name, version, analysis, recipe };
}

async function hashFiles(folder: string, files: Manifest['files']): Promise<{ hashed: HashedFile[]; faults: string[] }> {
  const hashed: HashedFile[] = [];
  const faults: string[] = [];
  for (const { path, sha256 } of files) {
    const hash = createHash('sha256');
    try {
      await pipeline(createReadStream(join(folder, path)), hash);
    } catch {
      faults.push(`The file "${path}" is not there or cannot be read`);
      hashed.push({ path, sha256: '' });
      continue;
    }
    const found = hash.digest('hex');
    hashed.push({ path, sha256: found });
    if (found !== sha256) faults.push(`The file "${path}" has the sha256 ${found}, the manifest says ${sha256}`);
  }
  return { hashed, faults };
}
