#!/usr/bin/env node
// `npm run dashboards`: writes the dashboards of this folder into the chart, from where Helm and Compose take them.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import analysis from './analysis.mjs';
import api from './api.mjs';
import business from './business.mjs';
import ingest from './ingest.mjs';
import overview from './overview.mjs';
import { dashboard } from './panels.mjs';
import security from './security.mjs';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '..', 'healthvision', 'files', 'grafana');
const WIDTH = 160;

/** File name and text of each. */
export function dashboards() {
  return [overview, ingest, analysis, api, business, security].map((one) => ({ file: join(FOLDER, `${one.name}.json`), text: `${printed(dashboard(one))}\n` }));
}

/** JSON with what is short on one line. */
function printed(value, indent = '') {
  const flat = onOneLine(value);
  if (typeof value !== 'object' || value === null || indent.length + flat.length <= WIDTH) return flat;
  const inner = `${indent}  `;
  const members = Array.isArray(value) ? value.map((one) => inner + printed(one, inner)) : Object.entries(value).map(([key, one]) => `${inner}${JSON.stringify(key)}: ${printed(one, inner)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${members.join(',\n')}\n${indent}${close}`;
}

function onOneLine(value) {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(onOneLine).join(', ')}]`;
  const members = Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${onOneLine(one)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const { file, text } of dashboards()) writeFileSync(file, text);
}
