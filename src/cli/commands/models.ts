import { Command } from 'commander';
import { openAsBlob } from 'node:fs';
import { basename, resolve } from 'node:path';
import { z } from 'zod';
import { parseConfig } from '../../platform/config.js';
import { CommandError } from '../failure.js';
import { Installation, type ConnectionOptions } from '../installation.js';
import { installModelPack, listModelPacks, withArchive } from '../packs/models-folder.js';
import { paint, table, writeJson, writeLine } from '../terminal.js';
import { activateCommand, rollBackCommand, signCommand } from './models-switch.js';
import { withOptionalConnection } from './optional-connection.js';

const modelSchema = z.object({
  name: z.string(), version: z.string(), analysis: z.string(), recipe: z.string(), state: z.string(), digest: z.string(), reason: z.object({ code: z.string(), detail: z.string() }).optional(),
});
type ListedModel = z.infer<typeof modelSchema>;

/** How long `install --url` waits for a worker to try the model. */
const PATIENCE_MS = 5 * 60_000;

/** `healthvision models …`: what is in MODELS_DIR, or in a running installation. */
export function modelsCommand(): Command {
  return new Command('models').description('model packs').addCommand(listCommand()).addCommand(installCommand()).addCommand(activateCommand()).addCommand(rollBackCommand()).addCommand(signCommand());
}

function listCommand(): Command {
  return withOptionalConnection(new Command('list').description('list the packs in MODELS_DIR, or with --url the models of a running installation'))
    .action(async ({ url, json, ...access }: Partial<ConnectionOptions> & { json?: boolean }) => {
      const models = url === undefined ? await ofFolder(parseConfig().modelsDir) : await ofInstallation({ url, ...access });
      if (json) writeJson({ items: models });
      else if (models.length === 0) writeLine('No models.');
      else {
        writeLine(table(models, [
          { title: 'Name', value: ({ name }) => name },
          { title: 'Version', value: ({ version }) => version },
          { title: 'Analysis', value: ({ analysis }) => analysis },
          { title: 'Recipe', value: ({ recipe }) => recipe },
          { title: 'State', value: ({ state }) => state, style: ({ state }) => (['active', 'complete'].includes(state) ? 'green' : undefined) },
          { title: 'Digest', value: ({ digest }) => digest.slice(0, 19) },
        ]));
      }
    });
}

type InstallOptions = Partial<ConnectionOptions> & { weights?: string; json?: boolean };

function installCommand(): Command {
  return withOptionalConnection(new Command('install').description('check a pack and copy it into MODELS_DIR, or with --url upload it to a running installation and wait for its checks'))
    .argument('<pack>', 'folder or .tgz of a pack with manifest.json, or of a MONAI bundle with its .onnx')
    .option('--weights <dir>', 'folder that holds the .onnx files apart from the manifest')
    .action(async (pack: string, { url, weights: dir, json = false, ...access }: InstallOptions) => {
      const weights = dir === undefined ? undefined : resolve(dir);
      if (url === undefined) await installHere(resolve(pack), weights, json);
      else await upload(resolve(pack), weights, new Installation({ url, ...access }), json);
    });
}

async function installHere(source: string, weights: string | undefined, json: boolean): Promise<void> {
  const { modelsDir, MODEL_SIGNERS, MODEL_SIGNATURE_REQUIRED } = parseConfig();
  const { pack, isNew } = await installModelPack(source, modelsDir, weights, { signers: MODEL_SIGNERS ?? [], required: MODEL_SIGNATURE_REQUIRED });
  const { name, version, analysis } = pack.manifest;
  if (json) writeJson({ name, version, analysis, digest: pack.digest, folder: pack.folder, installed: isNew });
  else writeLine(isNew ? `${paint('green', 'Installed')} ${name}@${version} in ${pack.folder}. The product takes it up when it starts.` : `${name}@${version} is installed in ${pack.folder}.`);
}

async function upload(source: string, weights: string | undefined, installation: Installation, json: boolean): Promise<void> {
  const sent = await withArchive(source, weights, async (archive) => {
    const form = new FormData();
    form.append('pack', await openAsBlob(archive), basename(archive));
    return modelSchema.parse(await installation.json('/api/v1/models', { method: 'POST', body: form }));
  });
  const model = await checked(installation, sent);
  if (model.state === 'rejected') throw new CommandError('model-rejected', `${model.name}@${model.version} was rejected: ${model.reason?.detail ?? 'it did not pass its checks'}`);
  if (json) writeJson(model);
  else writeLine(`${paint('green', 'Installed')} ${model.name}@${model.version} in ${installation.url}: ${model.state}.`);
}

async function checked(installation: Installation, sent: ListedModel): Promise<ListedModel> {
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const model = modelSchema.parse(await installation.json(`/api/v1/models/${encodeURIComponent(sent.name)}/${encodeURIComponent(sent.version)}`));
    if (model.state !== 'checking' || Date.now() > deadline) return model;
    await new Promise((done) => setTimeout(done, 500));
  }
}

async function ofFolder(modelsDir: string): Promise<ListedModel[]> {
  return (await listModelPacks(modelsDir)).map((listed) => {
    if (!('pack' in listed)) return { name: listed.folder, version: '–', analysis: '–', recipe: '–', state: `faulty: ${listed.fault}`, digest: '–' };
    const { manifest: { name, version, analysis, recipe }, digest } = listed.pack;
    return { name, version, analysis, recipe, state: 'complete', digest };
  });
}

async function ofInstallation(options: ConnectionOptions): Promise<ListedModel[]> {
  return z.object({ items: z.array(modelSchema) }).parse(await new Installation(options).models()).items;
}
