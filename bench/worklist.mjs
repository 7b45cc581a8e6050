#!/usr/bin/env node
// The worklist over many studies, each with a run and most with a result: every filter, one call after the other, as a page asks.
import { randomOf } from '../test/support/random.mjs';
import { addSeriesRow, addStudyRow, copyRows, dateOf, nameOf, newId, openArchive } from './archive-rows.mjs';
import { newUid } from './ct-instances.mjs';
import { percentile, report } from './measure.mjs';

const HELP = `usage: npm run bench:worklist -- [options]
  --studies N   how many (default 100000)
  --requests N  of each kind (default 200)`;
if (process.argv.includes('--help')) {
  console.log(HELP);
  process.exit(0);
}
const [STUDIES, REQUESTS] = [option('--studies', 100_000), option('--requests', 200)];
const LIMIT_MS = 100;
const WARM_UP = 10;
const STUDIES_AT_ONCE = 2_000;
const PAGE = 50;
/** A result of about this many findings each now and then, as of a thorax full of nodules. */
const MANY_FINDINGS = 40;
const MODALITIES = ['CT', 'CT', 'CT', 'DX', 'DX', 'CR', 'MR', 'MR', 'US'];
const ANALYSES = { CT: 'lung-nodule-detection', MR: 'brain-tumour-segmentation', DX: 'chest-xray-classification', CR: 'chest-xray-classification' };

const QUERIES = {
  'newest': () => ['', PAGE],
  'second page': (_, { second }) => [`cursor=${second}`, PAGE],
  'page in the middle': ({ id }) => [`cursor=${id}`, 0],
  'by study date': () => ['sort=study-date', PAGE],
  'by study date, in the middle': ({ id }) => [`sort=study-date&cursor=${id}`, 0],
  'name, beginning': ({ name }) => [`text=${encodeURIComponent(name.slice(0, 7))}`, 1],
  'name, common beginning': ({ name }) => [`text=${encodeURIComponent(name.slice(0, 1))}`, 1],
  'name, two words': ({ name }) => [`text=${encodeURIComponent(name.replace('^', ' '))}`, 1],
  'Patient ID': ({ patientId }) => [`text=${patientId}`, 1],
  'name, none': () => ['text=Nobody', 0],
  'modality': () => ['modality=MR', PAGE],
  'modality, rare': () => ['modality=PT', 1],
  'modality, none': () => ['modality=OPT', 0],
  'critical': () => ['critical=true', 1],
  'critical, of a modality that never is': () => ['critical=true&modality=US', 0],
  'analysis running': () => ['analysisStatus=running', 1],
  'analysis done': () => ['analysisStatus=succeeded', PAGE],
  'not reviewed': () => ['resultStatus=preliminary', PAGE],
  'amended, none': () => ['resultStatus=amended', 0],
  'one day': ({ date }) => [`studyDateFrom=${iso(date)}&studyDateTo=${iso(date)}`, 1],
  'ten years': () => ['studyDateFrom=2016-01-01&studyDateTo=2025-12-31', PAGE],
  'receiving': () => ['state=receiving', 1],
  'two common ones that never meet': () => ['modality=US&resultStatus=preliminary', 0],
  'all at once': ({ name, date }) => [`text=${encodeURIComponent(name.slice(0, 2))}&state=complete&resultStatus=preliminary&studyDateFrom=${iso(date)}&sort=study-date`, 0],
};

const started = performance.now();
const { product, database, pattern } = await openArchive();
const random = randomOf(7);
const studies = [];
while (studies.length < STUDIES) {
  const tables = { study_keys: [], studies: [], series: [], analysis_runs: [], results: [] };
  for (let i = Math.min(STUDIES_AT_ONCE, STUDIES - studies.length); i > 0; i--) studies.push(addStudy(tables, studies.length));
  for (const [table, lines] of Object.entries(tables)) await copyRows(database, table, lines);
}
await database.query('VACUUM ANALYZE study_keys, studies, series, analysis_runs, results');
await database.end();
console.error(`${String(STUDIES)} studies after ${String(Math.round((performance.now() - started) / 1000))} s`);

const context = { second: (await ask(`limit=${String(PAGE)}`)).nextCursor };
const rows = [];
for (const [query, of] of Object.entries(QUERIES)) {
  const random = randomOf(1);
  const values = [];
  for (let i = -WARM_UP; i < REQUESTS; i++) {
    const [filter, least] = of(studies[Math.floor(random() * studies.length)], context);
    const begun = performance.now();
    const { items } = await ask(`limit=${String(PAGE)}&${filter}`);
    if (i >= 0) values.push(performance.now() - begun);
    if (items.length < least) throw new Error(`${query}: ${String(items.length)} studies for ${filter}`);
  }
  rows.push({ query, 'p50, ms': figure(percentile(values, 0.5)), 'p95, ms': figure(percentile(values, 0.95)), 'limit, ms': LIMIT_MS });
}
await product.stop();
report('worklist', rows, rows.every((row) => row['p95, ms'] <= LIMIT_MS));

async function ask(query) {
  const response = await product.fetch(`/api/v1/worklist?${query}`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${String(response.status)} ${query} ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

/** One in a hundred is critical, in a thousand running, in five hundred of a PET; the newest still arrive. Of ultrasound there is nothing to analyse. */
function addStudy(tables, number) {
  const modality = number % 500 === 17 ? 'PT' : MODALITIES[Math.floor(random() * MODALITIES.length)];
  const found = { date: dateOf(number), uid: newUid(), name: nameOf(random), patientId: `WORK-${String(number).padStart(8, '0')}`, accession: `WRK${String(number).padStart(9, '0')}` };
  const state = number >= STUDIES - 20 ? 'receiving' : 'complete';
  const study = addStudyRow(tables, pattern, found, { series_count: '2', instance_count: '200', modalities: `{${modality}}`, state });
  for (let s = 1; s <= 2; s++) addSeriesRow(tables, pattern, study, s, { instance_count: '100', modality });
  const analysis = ANALYSES[modality];
  if (analysis !== undefined) addResult(tables, { ...study, uid: found.uid }, analysis, number);
  return { ...found, id: study.studyId };
}

function addResult(tables, { studyId, uid }, analysis, number) {
  const [runId, resultId] = [newId(), newId()];
  const { institution_id, created_at, updated_at } = pattern.rows.study;
  const status = number % 1000 === 3 ? 'running' : number % 300 === 5 ? 'failed' : 'succeeded';
  tables.analysis_runs.push({
    id: runId, institution_id, study_id: studyId, study_instance_uid: uid, study_revision: '1', analysis, model_id: runId, model_name: 'bench', model_version: '1.0.0', model_digest: `sha256:${'0'.repeat(64)}`,
    series_instance_uids: '{}', selection: '', status, progress: status === 'succeeded' ? '1' : '0.4', updated_at,
  });
  if (status !== 'succeeded') return;
  const place = { frameOfReferenceUid: '2.25.1', center: [1, 2, 3], sopInstanceUid: '2.25.2', frame: 1 };
  const finding = { id: resultId, kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.9, location: place, measurements: [{ name: 'diameter', value: 8.4, unit: 'mm' }], attributes: [{ name: 'side', value: 'right' }, { name: 'zone', value: 'upper' }] };
  const label = { name: 'Pneumonia', probability: 0.93, threshold: 0.5, positive: true };
  tables.results.push({
    id: resultId, institution_id, analysis_id: runId, study_id: studyId, study_instance_uid: uid, analysis, status: number % 4 === 0 ? 'final' : 'preliminary',
    summary: JSON.stringify({ text: '', critical: number % 100 === 9 }),
    findings: JSON.stringify(analysis === 'lung-nodule-detection' ? Array.from({ length: number % 50 === 1 ? MANY_FINDINGS : 2 }, () => finding) : []),
    labels: JSON.stringify(analysis === 'chest-xray-classification' ? Array.from({ length: 15 }, () => label) : []),
    segments: JSON.stringify(analysis === 'brain-tumour-segmentation' ? [{ number: 1, name: 'Whole tumour', volumeMl: 41.2 }] : []), provenance: '{}', rendering: '{}', created_at, updated_at,
  });
}

function iso(date) {
  return date.replace(/(....)(..)(..)/, '$1-$2-$3');
}

/** Three significant digits. */
function figure(value) {
  return Number(value.toPrecision(3));
}

function option(name, otherwise) {
  const at = process.argv.indexOf(name);
  const value = at > 0 ? Number(process.argv[at + 1]) : otherwise;
  if (!(value > 0)) throw new Error(`${name} takes a number`);
  return value;
}
