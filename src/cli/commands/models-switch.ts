import { Command } from 'commander';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { ModelStatesModule } from '../../modules/analysis/models/model-states.module.js';
import { ModelStates } from '../../modules/analysis/models/model-states.service.js';
import { readModelPack } from '../../platform/packs/model-pack.js';
import { signDigest } from '../../platform/packs/signature.js';
import { CommandError } from '../failure.js';
import { Installation, type ConnectionOptions } from '../installation.js';
import { offline } from '../offline.js';
import { paint, writeJson, writeLine } from '../terminal.js';
import { withOptionalConnection } from './optional-connection.js';

const named = z.object({ name: z.string(), version: z.string(), digest: z.string() });
const switchedSchema = z.object({ model: named.extend({ analysis: z.string(), state: z.string() }), displaced: named.nullable() });
type Switched = z.infer<typeof switchedSchema>;

type SwitchOptions = Partial<ConnectionOptions> & { reason?: string; json?: boolean };

/** `healthvision models activate`: lets a version serve. */
export function activateCommand(): Command {
  return withOptionalConnection(new Command('activate').description('let a version serve the studies of its analysis and domain, in the database of DATABASE_URL or DATA_DIR, or with --url in a running installation'))
    .argument('<model>', 'name@version')
    .option('--reason <text>', 'why; kept with the history')
    .action(async (model: string, { url, json = false, reason, ...access }: SwitchOptions) => {
      const [name, version, ...rest] = model.split('@');
      if (!name || !version || rest.length > 0) throw new CommandError('usage', `${model} is not of the form name@version`);
      const switched = url === undefined
        ? await offline([ModelStatesModule], (app) => app.get(ModelStates).set(name, version, 'active', { userId: null, reason: reason ?? null }))
        : await ask(new Installation({ url, ...access }), 'PATCH', `${encodeURIComponent(name)}/${encodeURIComponent(version)}`, { state: 'active', reason });
      tell(switchedSchema.parse(switched), json);
    });
}

/** `healthvision models rollback`: back to the version that was active before. */
export function rollBackCommand(): Command {
  return withOptionalConnection(new Command('rollback').description('go back to the model that was active before, in the database of DATABASE_URL or DATA_DIR, or with --url in a running installation'))
    .argument('<name>', 'the model whose active version gives its place back')
    .option('--reason <text>', 'why; kept with the history')
    .action(async (name: string, { url, json = false, reason, ...access }: SwitchOptions) => {
      const switched = url === undefined
        ? await offline([ModelStatesModule], (app) => app.get(ModelStates).rollBack(name, { userId: null, reason: reason ?? null }))
        : await ask(new Installation({ url, ...access }), 'POST', `${encodeURIComponent(name)}/rollback`, { reason });
      tell(switchedSchema.parse(switched), json);
    });
}

/** `healthvision models sign`: signs a pack as its maker. */
export function signCommand(): Command {
  return new Command('sign')
    .description('write signature.json into the folder of a pack')
    .argument('<folder>', 'folder with manifest.json and the files that it names')
    .requiredOption('--key <file>', 'Ed25519 private key, PEM')
    .action(async (folder: string, { key, json = false }: { key: string; json?: boolean }) => {
      const { digest } = await readModelPack(resolve(folder));
      const signature = signDigest(digest, await readFile(resolve(key), 'utf8'));
      await writeFile(join(resolve(folder), 'signature.json'), `${JSON.stringify(signature, null, 2)}\n`);
      if (json) writeJson({ digest, keyId: signature.keyId });
      else writeLine(`${paint('green', 'Signed')} ${digest} with the key ${signature.keyId}.`);
    });
}

async function ask(installation: Installation, method: string, path: string, body: object): Promise<unknown> {
  return installation.json(`/api/v1/models/${path}`, { method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
}

function tell({ model: { name, version, analysis, digest }, displaced }: Switched, json: boolean): void {
  if (json) writeJson({ name, version, analysis, digest, displaced });
  else writeLine(`${paint('green', 'Active')} for ${analysis}: ${name}@${version}${displaced ? `, in place of ${displaced.name}@${displaced.version}` : ''}.`);
}
