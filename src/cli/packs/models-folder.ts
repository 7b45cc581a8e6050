import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AppError } from '../../kernel/errors.js';
import { CommandError } from '../failure.js';
import { readModelPack, type ModelPack } from './model-pack.js';
import { extractTarball } from './tarball.js';

export type ListedPack = { folder: string; pack: ModelPack } | { folder: string; fault: string };

/** Every pack below MODELS_DIR by name of its folder; a broken one with what is wrong with it. */
export async function listModelPacks(modelsDir: string): Promise<ListedPack[]> {
  const entries = await readdir(modelsDir, { withFileTypes: true }).catch(() => []);
  const packs: ListedPack[] = [];
  for (const { name } of entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const folder = join(modelsDir, name);
    if (!(await stat(join(folder, 'manifest.json')).then(() => true, () => false))) continue;
    packs.push(await readModelPack(folder).then((pack) => ({ folder, pack }), (error: unknown) => ({ folder, fault: error instanceof Error ? error.message : String(error) })));
  }
  return packs;
}

/**
 * Copies a pack into MODELS_DIR, complete or not at all.
 *
 * @param source   a folder or a `.tgz` of one
 * @param weights  a folder with the files that are not in the pack
 * @returns the installed pack; `isNew` is false when the very same pack was there
 * @throws AppError `manifest-invalid`; CommandError `conflict` when another pack has this name and version
 */
export async function installModelPack(source: string, modelsDir: string, weights?: string): Promise<{ pack: ModelPack; isNew: boolean }> {
  if ((await stat(source)).isDirectory()) return installFolder(source, modelsDir, weights);
  const scratch = await mkdtemp(join(tmpdir(), 'healthvision-pack-'));
  try {
    await extractTarball(source, scratch);
    return await installFolder(await folderOfManifest(scratch), modelsDir, weights);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function installFolder(folder: string, modelsDir: string, weights: string | undefined): Promise<{ pack: ModelPack; isNew: boolean }> {
  const { manifest, digest, files } = await readModelPack(folder, weights);
  const name = `${manifest.name}@${manifest.version}`;
  for (const listed of await listModelPacks(modelsDir)) {
    if (!('pack' in listed)) continue;
    const { pack } = listed;
    if (pack.digest === digest) return { pack, isNew: false };
    if (pack.manifest.name === manifest.name && pack.manifest.version === manifest.version) throw new CommandError('conflict', `Another pack is installed as ${name} in ${pack.folder}`);
  }
  const target = join(modelsDir, `${manifest.name}-${manifest.version}`);
  await mkdir(modelsDir, { recursive: true });
  // Beside its place and hidden, so that nobody loads half a pack.
  const draft = await mkdtemp(join(modelsDir, '.installing-'));
  try {
    for (const { path, file } of files) {
      await mkdir(dirname(join(draft, path)), { recursive: true });
      await copyFile(file, join(draft, path));
    }
    await copyFile(join(folder, 'manifest.json'), join(draft, 'manifest.json'));
    await copyFile(join(folder, 'MODEL_CARD.md'), join(draft, 'MODEL_CARD.md')).catch(() => undefined);
    await rename(draft, target).catch((error: unknown) => { throw new CommandError('conflict', `${target} is in the way`, { cause: error }); });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return { pack: await readModelPack(target), isNew: true };
}

/** The top of the archive, or its only folder. */
async function folderOfManifest(top: string): Promise<string> {
  const entries = await readdir(top, { withFileTypes: true });
  if (entries.some(({ name }) => name === 'manifest.json')) return top;
  const [only] = entries;
  if (entries.length === 1 && only?.isDirectory()) return join(top, only.name);
  throw new AppError('manifest-invalid', { detail: 'The archive has no manifest.json at its top or in its only folder.' });
}
