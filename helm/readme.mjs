#!/usr/bin/env node
// Writes the tables of helm/healthvision/README.md from the comments of values.yaml, and the list of images. With --check it only says
// whether they are up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const chart = join(import.meta.dirname, 'healthvision');
const readme = join(chart, 'README.md');
/** Keys whose children are told in one row: Kubernetes' own words, and images of others. */
const WHOLE = /\.(resources|nodeSelector|replication\.image)$/;

const text = readFileSync(join(chart, 'values.yaml'), 'utf8');
const values = parse(text);
const written = readFileSync(readme, 'utf8');
const wanted = filled(filled(written, 'values', chapters()), 'images', images());

if (process.argv.includes('--check')) {
  if (wanted !== written) {
    process.stderr.write('helm/healthvision/README.md is older than values.yaml: run node helm/readme.mjs\n');
    process.exit(1);
  }
} else {
  writeFileSync(readme, wanted);
}

/** What stands between two marks, replaced. */
function filled(page, mark, content) {
  const place = new RegExp(`(<!-- ${mark} -->\\n)[\\s\\S]*?(<!-- /${mark} -->)`);
  if (!place.test(page)) throw new Error(`README.md has no mark "${mark}"`);
  return page.replace(place, (_all, before, after) => `${before}${content}${after}`);
}

/** A table for each `## ` of values.yaml. */
function chapters() {
  const out = [];
  const path = [];
  let comment = [];
  let skipDeeper = Infinity;
  for (const line of text.split('\n')) {
    const title = /^## (.+)$/.exec(line);
    if (title) {
      out.push('', `### ${title[1]}`, '', '| key | default | |', '|---|---|---|');
      comment = [];
      continue;
    }
    const note = /^\s*# ?(.*)$/.exec(line);
    if (note) {
      comment.push(note[1]);
      continue;
    }
    const entry = /^(\s*)([A-Za-z][\w./-]*):(?:\s|$)/.exec(line);
    const depth = entry ? entry[1].length / 2 : 0;
    if (!entry || depth > skipDeeper) {
      if (line.trim() === '') comment = [];
      continue;
    }
    skipDeeper = Infinity;
    path.length = depth;
    path.push(entry[2]);
    const value = path.reduce((node, key) => node[key], values);
    const key = path.join('.');
    const isGroup = isMap(value) && Object.keys(value).length > 0 && !/\{.*\}\s*$/.test(line) && !WHOLE.test(key);
    if (!isGroup) skipDeeper = depth;
    if (!isGroup || comment.length > 0) out.push(`| \`${key}\` | ${isGroup ? '' : `\`${JSON.stringify(value).replaceAll('|', '\\|')}\``} | ${comment.join(' ').replaceAll('|', '\\|')} |`);
    comment = [];
  }
  return `${out.join('\n').trimStart()}\n`;
}

/** What a mirror has to hold. */
function images() {
  const { appVersion } = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8'));
  const { image, backup, evaluation } = values;
  const name = ({ registry, repository, tag }) => [registry, `${repository}:${tag}`].filter((part) => part !== '').join('/');
  const rows = [
    [name({ ...image, tag: appVersion }), 'API, CPU workers, jobs'],
    [name({ ...image, tag: `${appVersion}${image.gpuSuffix}` }), 'GPU workers (`gpuWorker.enabled`)'],
    [name(backup.replication.image), 'copies of backups (`backup.replication.enabled`)'],
    ...['postgresql', 'redis', 'minio'].map((server) => [name(evaluation[server].image), 'evaluation (`evaluation.enabled`)']),
  ];
  return ['| image | for |', '|---|---|', ...rows.map(([one, use]) => `| \`${one}\` | ${use} |`), ''].join('\n');
}

function isMap(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
