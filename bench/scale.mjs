#!/usr/bin/env node
// Searches over 10,000 and over 1,000,000 instances: the same questions, the same number of answers. Rows only: one stored instance is
// the pattern, and its copies are sealed and indexed as the ingest does it, but have no bytes.
import { randomOf } from '../test/support/random.mjs';
import { addInstanceRow, addSeriesRow, addStudyRow, copyRows, dateOf, nameOf, openArchive } from './archive-rows.mjs';
import { newUid } from './ct-instances.mjs';
import { percentile, report } from './measure.mjs';

const HELP = `usage: npm run bench:scale -- [options]
  --instances N   the large number (default 1000000)
  --small N       the small number (default 10000)
  --requests N    of each kind in a round (default 200)
  --rounds N      the medians of their 95th percentiles count (default 3)`;
if (process.argv.includes('--help')) {
  console.log(HELP);
  process.exit(0);
}
const [LARGE, SMALL, REQUESTS, ROUNDS] = [option('--instances', 1_000_000), option('--small', 10_000), option('--requests', 200), option('--rounds', 3)];
const SERIES = 4;
const INSTANCES = 25;
const PER_STUDY = SERIES * INSTANCES;
/** In one file for COPY. */
const STUDIES_AT_ONCE = 500;
const LIMIT = 2;
const WARM_UP = 10;

/** What is asked, each time about another study, and how many answers there must be at least. */
const QUERIES = {
  'studies, newest 25': () => ['studies?limit=25', 25],
  'studies, third page': () => ['studies?limit=25&offset=50', 25],
  'PatientID': ({ patientId }) => [`studies?PatientID=${encodeURIComponent(patientId)}`, 1],
  'PatientID, all fields': ({ patientId }) => [`studies?PatientID=${encodeURIComponent(patientId)}&includefield=all`, 1],
  'AccessionNumber': ({ accession }) => [`studies?AccessionNumber=${encodeURIComponent(accession)}`, 1],
  'StudyInstanceUID': ({ uid }) => [`studies?StudyInstanceUID=${uid}`, 1],
  'PatientName, beginning': ({ name }) => [`studies?PatientName=${encodeURIComponent(name.slice(0, 9))}*&limit=25`, 1],
  'PatientName, inside': ({ name }) => [`studies?PatientName=*${encodeURIComponent(name.slice(2, 9))}*&limit=25`, 1],
  'PatientName, fuzzy': ({ name }) => [`studies?PatientName=${encodeURIComponent(name.replace('^', ' '))}&fuzzymatching=true&limit=25`, 1],
  'StudyDate, range': () => ['studies?StudyDate=20160101-20251231&limit=25', 25],
  'StudyDate, one day': ({ date }) => [`studies?StudyDate=${date}&limit=25`, 1],
  'ModalitiesInStudy': () => ['studies?ModalitiesInStudy=CT&limit=25', 25],
  'series of a study': ({ uid }) => [`studies/${uid}/series`, SERIES],
  'instances of a study': ({ uid }) => [`studies/${uid}/instances`, PER_STUDY],
  'ModalitiesInStudy, none': () => ['studies?ModalitiesInStudy=PT&limit=25', 0],
  'PatientName, none': () => ['studies?PatientName=Nobody*&limit=25', 0],
  'series, none': () => ['series?Modality=PT&limit=25', 0],
  'SeriesInstanceUID': ({ series }) => [`series?SeriesInstanceUID=${series}`, 1],
  'SOPInstanceUID': ({ instance }) => [`instances?SOPInstanceUID=${instance}`, 1],
  'series of any study': () => ['series?Modality=CT&limit=25', 25],
  'instances of any study': () => ['instances?limit=25', 25],
};

// Both run side by side and are asked in turn, so that a busy minute of the machine meets both.
const archives = { small: await makeArchive(SMALL), large: await makeArchive(LARGE) };
const times = Object.fromEntries(Object.keys(QUERIES).map((query) => [query, { small: [], large: [] }]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [query, ask] of Object.entries(QUERIES)) {
    const random = randomOf(round + 1);
    const values = { small: [], large: [] };
    for (let i = -WARM_UP; i < REQUESTS; i++) {
      for (const [size, { product, studies }] of Object.entries(archives)) {
        const ms = await timed(product, query, ask(studies[Math.floor(random() * studies.length)]));
        if (i >= 0) values[size].push(ms);
      }
    }
    for (const size of Object.keys(archives)) times[query][size].push(values[size]);
  }
  console.error(`round ${String(round + 1)} of ${String(ROUNDS)}`);
}
for (const { product } of Object.values(archives)) await product.stop();

const rows = Object.entries(times).map(([query, bySize]) => {
  const p = (size, share) => percentile(bySize[size].map((values) => percentile(values, share)), 0.5);
  return {
    query, 'p50 small, ms': figure(p('small', 0.5)), 'p50 large, ms': figure(p('large', 0.5)), 'p95 small, ms': figure(p('small', 0.95)), 'p95 large, ms': figure(p('large', 0.95)),
    ratio: figure(p('large', 0.95) / p('small', 0.95)), limit: LIMIT,
  };
});
report('scale', rows, rows.every(({ ratio }) => ratio <= LIMIT));

async function timed(product, name, [path, least]) {
  const started = performance.now();
  const response = await product.fetch(`/dicom-web/${path}`, { headers: { accept: 'application/dicom+json' } });
  const text = await response.text();
  const ms = performance.now() - started;
  if (response.status !== 200 || JSON.parse(text).length < least) throw new Error(`${name}: ${String(response.status)} ${path} ${text.slice(0, 300)}`);
  return ms;
}

/** A product of its own with so many instances. */
async function makeArchive(instances) {
  const started = performance.now();
  const { product, database, pattern } = await openArchive();
  const random = randomOf(7);
  const studies = [];
  const count = Math.max(1, Math.round(instances / PER_STUDY));
  while (studies.length < count) {
    const tables = { study_keys: [], studies: [], series: [], instances: [] };
    for (let i = Math.min(STUDIES_AT_ONCE, count - studies.length); i > 0; i--) studies.push(addStudy(tables, pattern, studies.length, random));
    for (const [table, lines] of Object.entries(tables)) await copyRows(database, table, lines);
  }
  await database.query('VACUUM ANALYZE study_keys, studies, series, instances');
  await database.end();
  console.error(`${String(count * PER_STUDY)} instances after ${String(Math.round((performance.now() - started) / 1000))} s`);
  return { product, studies };
}

/** The rows of one more study. @returns what it can be found by */
function addStudy(tables, pattern, number, random) {
  const found = { date: dateOf(number), uid: newUid(), name: nameOf(random), patientId: `SCALE-${String(number).padStart(8, '0')}`, accession: `SCA${String(number).padStart(9, '0')}` };
  const study = addStudyRow(tables, pattern, found, { series_count: String(SERIES), instance_count: String(PER_STUDY) });
  for (let s = 1; s <= SERIES; s++) {
    const series = addSeriesRow(tables, pattern, study, s, { instance_count: String(INSTANCES) });
    found.series = series.seriesUid;
    for (let i = 1; i <= INSTANCES; i++) found.instance = addInstanceRow(tables, pattern, study, series, i);
  }
  return found;
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
