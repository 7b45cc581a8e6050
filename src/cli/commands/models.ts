import { Command, Option } from 'commander';
import { resolve } from 'node:path';
import { z } from 'zod';
import { parseConfig } from '../../platform/config.js';
import { Installation, type ConnectionOptions } from '../installation.js';
import { installModelPack, listModelPacks } from '../packs/models-folder.js';
import { paint, table, writeJson, writeLine } from '../terminal.js';

interface ListedModel {
  name: string;
  version: string;
  analysis: string;
  recipe: string;
  state: string;
  digest: string;
}

/** `healthvision models …`: what is in MODELS_DIR, or in a running installation. */
export function modelsCommand(): Command {
  return new Command('models').description('model packs').addCommand(listCommand()).addCommand(installCommand());
}

function listCommand(): Command {
  return new Command('list')
    .description('list the packs in MODELS_DIR, or with --url the models of a running installation')
    .addOption(new Option('--url <url>', 'a running installation').env('HEALTHVISION_URL'))
    .addOption(new Option('--token <jwt>', 'access token').env('HEALTHVISION_TOKEN'))
    .addOption(new Option('--api-key <key>', 'API key').env('HEALTHVISION_API_KEY'))
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

function installCommand(): Command {
  return new Command('install')
    .description('check a pack and copy it into MODELS_DIR')
    .argument('<pack>', 'folder or .tgz with manifest.json')
    .option('--weights <dir>', 'folder that holds the .onnx files apart from the manifest')
    .action(async (pack: string, { weights, json }: { weights?: string; json?: boolean }) => {
      const { modelsDir } = parseConfig();
      const { pack: installed, isNew } = await installModelPack(resolve(pack), modelsDir, weights === undefined ? undefined : resolve(weights));
      const { name, version, analysis } = installed.manifest;
      if (json) writeJson({ name, version, analysis, digest: installed.digest, folder: installed.folder, installed: isNew });
      else writeLine(isNew ? `${paint('green', 'Installed')} ${name}@${version} in ${installed.folder}. The product takes it up when it starts.` : `${name}@${version} is installed in ${installed.folder}.`);
    });
}

async function ofFolder(modelsDir: string): Promise<ListedModel[]> {
  return (await listModelPacks(modelsDir)).map((listed) => {
    if (!('pack' in listed)) return { name: listed.folder, version: '–', analysis: '–', recipe: '–', state: `faulty: ${listed.fault}`, digest: '–' };
    const { manifest: { name, version, analysis, recipe }, digest } = listed.pack;
    return { name, version, analysis, recipe, state: 'complete', digest };
  });
}

async function ofInstallation(options: ConnectionOptions): Promise<ListedModel[]> {
  const model = z.object({ name: z.string(), version: z.string(), analysis: z.string(), recipe: z.string(), state: z.string(), digest: z.string() });
  return z.object({ items: z.array(model) }).parse(await new Installation(options).models()).items;
}
