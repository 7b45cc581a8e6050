#!/usr/bin/env node
// Searches over 10,000 and over 1,000,000 instances: the same questions, the same number of answers. Rows only: one stored instance is
// the pattern, and its copies are sealed and indexed as the ingest does it, but have no bytes.
import { randomBytes } from 'node:crypto';
import { chmodSync, openSync, readFileSync, rmSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { buildIfStale } from '../src/cli/build.mjs';
import { randomOf } from '../test/support/random.mjs';
import { newUid, stowBody } from './ct-instances.mjs';
import { percentile, report, ROOT, startProduct, temporaryDirectory } from './measure.mjs';

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
/** Of the pattern: what an answer or a comparison may need. The rest is left out, so that a million fit a small disk. */
const KEPT = new Set(['00080005', '00080008', '00080016', '00080018', '00080020', '00080050', '00080060', '00100010', '00100020', '0020000D', '0020000E', '00200011', '00200013', '00200032', '00200037', '00280010', '00280011', '00280100', '7FE00010']);

const dist = (path) => import(pathToFileURL(join(ROOT, 'dist', 'src', ...path.split('/'))).href);
buildIfStale();
const [{ MasterKey }, { DataKey, decrypt, encrypt, KEY_BYTES }, { BlindIndex }, { sealJson, openJson, sealContext }, { studyTokens }, { uuidv7 }, { studyContext }] = await Promise.all([
  dist('platform/crypto/master-key.js'), dist('platform/crypto/data-key.js'), dist('platform/crypto/blind-index.js'), dist('modules/images/sealed-json.js'), dist('modules/images/qido/search-tokens.js'),
  dist('kernel/uid.js'), dist('platform/crypto/key-vault.js'),
]);
const folder = temporaryDirectory();

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
  const masterKey = randomBytes(32).toString('base64');
  const product = await startProduct({ APP_ROLE: 'api', SETTLE_SECONDS: '3600', MASTER_KEY: masterKey });
  const cluster = JSON.parse(readFileSync(join(product.dataDir, 'postgres.json'), 'utf8'));
  // Every value as PostgreSQL writes it: that is what COPY reads.
  const database = new pg.Client({ host: '127.0.0.1', port: cluster.port, password: cluster.password, user: 'healthvision', database: 'healthvision', types: { getTypeParser: () => (text) => text } });
  await database.connect();
  const pattern = await storePattern(product, database, new MasterKey({ MASTER_KEY: masterKey }));
  const random = randomOf(7);
  const studies = [];
  const count = Math.max(1, Math.round(instances / PER_STUDY));
  while (studies.length < count) {
    const tables = { study_keys: [], studies: [], series: [], instances: [] };
    for (let i = Math.min(STUDIES_AT_ONCE, count - studies.length); i > 0; i--) studies.push(addStudy(tables, pattern, studies.length, random));
    for (const [table, lines] of Object.entries(tables)) await copy(database, table, lines);
  }
  await database.query('VACUUM ANALYZE study_keys, studies, series, instances');
  await database.end();
  console.error(`${String(count * PER_STUDY)} instances after ${String(Math.round((performance.now() - started) / 1000))} s`);
  return { product, studies };
}

/** Stores one instance as anybody would: its rows and what is sealed in them are the pattern of all others. */
async function storePattern(product, database, masterKey) {
  const { body, contentType, fill } = stowBody(1, 64);
  fill(0, { study: newUid(), series: newUid(), instance: newUid() });
  const response = await product.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': contentType }, body });
  if (response.status !== 200) throw new Error(`the pattern was not stored: ${await response.text()}`);
  const row = async (sql, ...values) => (await database.query(sql, values)).rows[0];
  const newest = (table) => row(`SELECT * FROM ${table} ORDER BY id DESC LIMIT 1`);
  const [study, series, instance] = [await newest('studies'), await newest('series'), await newest('instances')];
  const institutionKey = ({ id, wrapped }) => masterKey.open(bytesOf(wrapped), `institution-keys/${id}`);
  const keyRow = await row('SELECT * FROM study_keys WHERE id = $1', study.key_id);
  const wrapping = institutionKey(await row('SELECT * FROM institution_keys WHERE id = $1', keyRow.wrapping_key_id));
  const index = new BlindIndex(institutionKey(await row(`SELECT * FROM institution_keys WHERE institution_id = $1 AND purpose = 'index' ORDER BY version DESC LIMIT 1`, study.institution_id)));
  const key = new DataKey(keyRow.id, decrypt(wrapping, bytesOf(keyRow.wrapped), studyContext(keyRow.id)));
  const open = ({ sealed }, context) => JSON.parse(openJson(key, bytesOf(sealed), context));
  const attributes = Object.fromEntries(Object.entries(open(instance, sealContext.instance(instance.id))).filter(([tag]) => KEPT.has(tag)));
  return { rows: { study, series, instance, key: keyRow }, json: { study: open(study, sealContext.study(study.id)), series: open(series, sealContext.series(series.id)), instance: attributes }, wrapping, index };
}

/** The rows of one more study. @returns what it can be found by */
function addStudy(tables, { rows, json, wrapping, index }, number, random) {
  const date = dateOf(number);
  const found = { date, uid: newUid(), name: nameOf(random), patientId: `SCALE-${String(number).padStart(8, '0')}`, accession: `SCA${String(number).padStart(9, '0')}` };
  const keyBytes = randomBytes(KEY_BYTES);
  const [keyId, studyId] = [uuidv7(), uuidv7()];
  const key = new DataKey(keyId, keyBytes);
  const sealed = (attributes, context) => hex(sealJson(key, JSON.stringify(attributes), context));
  const own = {
    '00080020': { vr: 'DA', Value: [date] }, '00080050': { vr: 'SH', Value: [found.accession] }, '00100010': { vr: 'PN', Value: [{ Alphabetic: found.name }] }, '00100020': { vr: 'LO', Value: [found.patientId] },
    '0020000D': { vr: 'UI', Value: [found.uid] },
  };
  const attributes = { ...json.study, ...own };
  const tokens = studyTokens(index, attributes);
  tables.study_keys.push({ ...rows.key, id: keyId, study_instance_uid: found.uid, wrapped: hex(encrypt(wrapping, keyBytes, studyContext(keyId))) });
  tables.studies.push({
    ...rows.study, id: studyId, study_instance_uid: found.uid, key_id: keyId, sealed: sealed(attributes, sealContext.study(studyId)), patient_id_token: String(tokens.patientIdToken),
    accession_token: String(tokens.accessionToken), search_tokens: `{${tokens.searchTokens.join(',')}}`, study_date: date, series_count: String(SERIES), instance_count: String(PER_STUDY),
  });
  for (let s = 1; s <= SERIES; s++) {
    const [seriesId, seriesUid] = [uuidv7(), newUid()];
    found.series = seriesUid;
    const ofSeries = { '0020000E': { vr: 'UI', Value: [seriesUid] }, '00200011': { vr: 'IS', Value: [s] } };
    tables.series.push({ ...rows.series, id: seriesId, study_id: studyId, series_instance_uid: seriesUid, series_number: String(s), instance_count: String(INSTANCES), sealed: sealed({ ...json.series, ...ofSeries }, sealContext.series(seriesId)) });
    for (let i = 1; i <= INSTANCES; i++) {
      const [id, uid] = [uuidv7(), newUid()];
      found.instance = uid;
      const ofInstance = { ...json.instance, ...own, ...ofSeries, '00080018': { vr: 'UI', Value: [uid] }, '00200013': { vr: 'IS', Value: [i] } };
      tables.instances.push({ ...rows.instance, id, study_id: studyId, series_id: seriesId, sop_instance_uid: uid, instance_number: String(i), blob_key: `none/${id}`, sealed: sealed(ofInstance, sealContext.instance(id)) });
    }
  }
  return found;
}

/** Names of syllables: as many of one beginning as in a hospital, none of them anybody's. */
function nameOf(random) {
  const syllables = ['ba', 'chen', 'dor', 'el', 'fang', 'gri', 'hol', 'in', 'jo', 'kar', 'li', 'mo', 'nes', 'o', 'pet', 'quin', 'ra', 'sho', 'tam', 'ul', 'ver', 'wen', 'xu', 'yor', 'zim'];
  const word = (count) => { const text = Array.from({ length: count }, () => syllables[Math.floor(random() * syllables.length)]).join(''); return text.charAt(0).toUpperCase() + text.slice(1); };
  return `${word(4)}^${word(3)}`;
}

/** Ten years, evenly. */
function dateOf(number) {
  return new Date(Date.UTC(2016, 0, 1 + ((number * 37) % 3650))).toISOString().slice(0, 10).replaceAll('-', '');
}

/** COPY from a file: the embedded server runs here, too. */
async function copy(database, table, lines) {
  const path = join(folder, table);
  const columns = Object.keys(lines[0]);
  const file = openSync(path, 'w', 0o644);
  for (let i = 0; i < lines.length; i += 1000) writeSync(file, lines.slice(i, i + 1000).map((line) => `${columns.map((column) => field(line[column])).join('\t')}\n`).join(''));
  closeSync(file);
  chmodSync(path, 0o644);
  await database.query(`COPY ${table} (${columns.join(', ')}) FROM '${path}'`);
  rmSync(path);
}

function field(text) {
  return text === null ? '\\N' : text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
}

function hex(bytes) {
  return `\\x${bytes.toString('hex')}`;
}

function bytesOf(text) {
  return Buffer.from(text.slice(2), 'hex');
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
