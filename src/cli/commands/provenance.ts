import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';
import { faultOf, publicKeySchema, signedProvenanceSchema, thumbprintOf, type ProvenanceFault } from '../../modules/results/provenance/signed-statement.js';
import { CommandError } from '../failure.js';
import { paint, writeJson, writeLine } from '../terminal.js';

const EXPLANATIONS: Readonly<Record<ProvenanceFault, string>> = {
  'key-not-trusted': 'It carries another key than the one that it has to be signed by.',
  'signature-invalid': 'The statement is not what was signed.',
  'output-changed': 'Findings, labels or segments are not those that were signed.',
};

interface Options {
  key?: string;
  json?: boolean;
}

/** `healthvision provenance verify`: whether a saved answer of `GET /results/{id}/provenance` is what an installation signed; exit status 1 when not. */
export function provenanceCommand(): Command {
  return new Command('provenance').description('where results come from').addCommand(
    new Command('verify')
      .description('verify a saved answer of GET /results/{id}/provenance; needs neither an installation nor a network')
      .argument('<file>', 'the answer, JSON')
      .option('--key <file>', 'what it has to be signed by: a public key in PEM, a JWK, or the JWK Set of GET /audit-events/keys')
      .addHelpText('after', '\nWithout --key this tells that nothing was changed since it was signed, not who signed it. Exit status 1 when it does not hold.')
      .action(async (file: string, { key, json = false }: Options) => {
        const document = await readDocument(file);
        const trusted = key === undefined ? undefined : await readKey(key, document.signature.keyId);
        const fault = faultOf(document, trusted);
        const { statement, signature: { keyId }, publicKey } = document;
        const thumbprint = thumbprintOf(createPublicKey({ key: publicKey, format: 'jwk' }));
        if (json) writeJson({ valid: fault === undefined, fault: fault ?? null, keyTrusted: trusted !== undefined && fault !== 'key-not-trusted', keyId, thumbprint, statement });
        else if (fault === undefined) {
          writeLine(`${paint('green', 'valid')}  result ${statement.resultId} of ${statement.model.name}@${statement.model.version}, software ${statement.software}, input ${statement.inputDigest}`);
          writeLine(`signed by the key ${thumbprint}${trusted ? ', which is the one you gave' : ', which it carries itself: name the installation’s with --key to know who signed'}`);
        } else writeLine(`${paint('red', 'INVALID')}  ${fault}: ${EXPLANATIONS[fault]}`);
        if (fault !== undefined) process.exitCode = 1;
      }),
  );
}

async function readDocument(file: string): Promise<z.infer<typeof signedProvenanceSchema>> {
  const read = signedProvenanceSchema.safeParse(await readJson(file));
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new CommandError('not-a-provenance', `${file} is no answer of GET /results/{id}/provenance: ${issue ? `/${issue.path.join('/')} ${issue.message}` : 'it has another form'}`);
}

/** Of a JWK Set the key that the document names. */
async function readKey(file: string, keyId: string): Promise<KeyObject> {
  const text = await readFile(resolve(file), 'utf8');
  if (text.includes('-----BEGIN')) return ed25519(file, () => createPublicKey(text));
  const json = parsed(file, text);
  const set = z.object({ keys: z.array(z.looseObject({ kid: z.string() })) }).safeParse(json);
  const jwk = set.success ? set.data.keys.find(({ kid }) => kid === keyId) : json;
  if (jwk === undefined) throw new CommandError('key-not-found', `${file} has no key ${keyId}`);
  return ed25519(file, () => createPublicKey({ key: publicKeySchema.parse(jwk), format: 'jwk' }));
}

function ed25519(file: string, make: () => KeyObject): KeyObject {
  try {
    const key = make();
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Said below.
  }
  throw new CommandError('not-a-key', `${file} is no Ed25519 public key`);
}

async function readJson(file: string): Promise<unknown> {
  return parsed(file, await readFile(resolve(file), 'utf8'));
}

function parsed(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CommandError('not-json', `${file} is not JSON`);
  }
}
