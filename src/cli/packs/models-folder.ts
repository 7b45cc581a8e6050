import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { readModelPack, type ModelPack } from '../../platform/packs/model-pack.js';
import { manifestForBundle, PACK_MARKS } from '../../platform/packs/monai-bundle-folder.js';
import { folderOfPack, unpackArchive } from '../../platform/packs/pack-archive.js';
import { checkSignature, SIGNATURE_FILES, type SignaturePolicy } from '../../platform/packs/signature.js';
import { writeArchive } from '../../platform/packs/tar-writer.js';
import { AppError } from '../../kernel/errors.js';
import { CommandError } from '../failure.js';

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

/** A pack wherever it lies, ready to be read. */
interface OpenedPack {
  pack: ModelPack;
  /** Where its model card and signature are. */
  folder: string;
}

/** What stands beside the files of a manifest. */
const COMPANIONS = ['MODEL_CARD.md', ...SIGNATURE_FILES];

/**
 * Copies a pack into MODELS_DIR, complete or not at all.
 *
 * @param source   a folder or a `.tgz` of one: a pack, or a MONAI bundle with exported networks
 * @param weights  a folder with the files that are not in the pack
 * @returns the installed pack; `isNew` is false when the very same pack was there
 * @throws AppError `manifest-invalid`, `model-signature-invalid` and those of `unpackArchive`; CommandError `conflict` when another pack has this name and version
 */
export async function installModelPack(source: string, modelsDir: string, weights: string | undefined, policy: SignaturePolicy): Promise<{ pack: ModelPack; isNew: boolean }> {
  return withPack(source, weights, async (opened) => {
    await checkSignature(opened.folder, opened.pack.digest, policy);
    return copyInto(opened, modelsDir);
  });
}

/** Runs `work` with a `.tgz` of a pack, made for it where the pack is a folder or a bundle. Throws as `installModelPack` does. */
export async function withArchive<T>(source: string, weights: string | undefined, work: (archive: string, pack: ModelPack) => Promise<T>): Promise<T> {
  return withPack(source, weights, async ({ pack, folder }, scratch) => {
    const archive = join(scratch, `${pack.manifest.name}-${pack.manifest.version}.tgz`);
    const companions = await present(folder, COMPANIONS);
    await writeArchive([{ path: 'manifest.json', file: join(pack.folder, 'manifest.json') }, ...companions.map((path) => ({ path, file: join(folder, path) })), ...pack.files], archive);
    return work(archive, pack);
  });
}

async function withPack<T>(source: string, weights: string | undefined, work: (opened: OpenedPack, scratch: string) => Promise<T>): Promise<T> {
  const about = await stat(source).catch((error: unknown) => { throw new CommandError('no-such-file', `${basename(source)} is not there`, { cause: error }); });
  const scratch = await mkdtemp(join(tmpdir(), 'healthvision-pack-'));
  try {
    let folder = source;
    if (!about.isDirectory()) {
      const unpacked = join(scratch, 'unpacked');
      await mkdir(unpacked);
      await unpackArchive(source, unpacked);
      folder = await folderOfPack(unpacked, PACK_MARKS);
    }
    // The manifest of a bundle is made apart from it: its folder is somebody else's.
    const made = join(scratch, 'made');
    await mkdir(made);
    const isBundle = (await manifestForBundle(folder, made)) === 'made';
    const pack = isBundle ? await readModelPack(made, folder) : await readModelPack(folder, weights).catch((error: unknown) => { throw weights === undefined ? withHint(error) : error; });
    return await work({ pack, folder }, scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function copyInto({ pack: { folder: manifestFolder, manifest, digest, files }, folder }: OpenedPack, modelsDir: string): Promise<{ pack: ModelPack; isNew: boolean }> {
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
    await copyFile(join(manifestFolder, 'manifest.json'), join(draft, 'manifest.json'));
    for (const path of await present(folder, COMPANIONS)) await copyFile(join(folder, path), join(draft, path));
    await rename(draft, target).catch((error: unknown) => { throw new CommandError('conflict', `${target} is in the way`, { cause: error }); });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return { pack: await readModelPack(target), isNew: true };
}

async function present(folder: string, names: readonly string[]): Promise<string[]> {
  const there = new Set(await readdir(folder));
  return names.filter((name) => there.has(name));
}

/** Weights may lie elsewhere, and the one who installs may say where. */
function withHint(error: unknown): unknown {
  if (!(error instanceof AppError) || !error.message.endsWith(" is not in the pack.")) return error;
  return new CommandError(error.code, `${error.message.slice(0, -1)}; name the folder of the weights with --weights`, { cause: error });
}
