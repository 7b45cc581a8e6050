import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const [, settings, options] = /^(.*?)\s*exec node (.*?)\s*src\/cli\/launch\.mjs start$/.exec(scripts.start);

/** What `npm start` gives the process beside its settings, for whoever starts the compiled product itself: memory is bounded there. */
export const NPM_START = {
  env: Object.fromEntries(settings.split(' ').filter((setting) => setting !== '').map((setting) => setting.split('='))),
  argv: [...options.split(' ').filter((option) => option !== ''), join(ROOT, 'dist', 'src', 'main.js')],
};
