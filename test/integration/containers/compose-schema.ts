import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';

/** The module whose schema Docker Compose itself checks files by. */
const MODULE = 'github.com/compose-spec/compose-go/v2@v2.16.2';

/** @returns what the specification's schema has against a file; undefined, with a loud line, when the schema cannot be had */
export function composeFaults(file: unknown): string[] | undefined {
  const { status, stdout } = spawnSync('go', ['mod', 'download', '-json', MODULE], { encoding: 'utf8', timeout: 60_000 });
  if (status !== 0) {
    console.warn(`SKIPPED: ${MODULE} cannot be had (is Go installed?); compose.yaml is not checked against the specification's schema`);
    return undefined;
  }
  const { Dir } = JSON.parse(stdout) as { Dir: string };
  const schema = JSON.parse(readFileSync(join(Dir, 'schema', 'compose-spec.json'), 'utf8')) as object;
  // Formats of its own (`ports`, `duration`, `expose`) are Compose's to check.
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  const validate = ajv.compile(schema);
  return validate(file) ? [] : (validate.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath}: ${message}`);
}
