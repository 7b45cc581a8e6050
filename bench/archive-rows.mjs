// What benches fill an archive with that need many studies: rows only. One stored instance is the pattern, and its copies are sealed and
// indexed as the ingest does it, but have no bytes.
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { buildIfStale } from '../src/cli/build.mjs';
import { newUid, stowBody } from './ct-instances.mjs';
import { ROOT, startProduct, temporaryDirectory } from './measure.mjs';

const dist = (path) => import(pathToFileURL(join(ROOT, 'dist', 'src', ...path.split('/'))).href);
buildIfStale();
const [{ MasterKey }, { DataKey, decrypt, encrypt, KEY_BYTES }, { BlindIndex }, { sealJson, openJson, sealContext }, { studyTokens }, { uuidv7 }, { studyContext }] = await Promise.all([
  dist('platform/crypto/master-key.js'), dist('platform/crypto/data-key.js'), dist('platform/crypto/blind-index.js'), dist('modules/images/sealed-json.js'), dist('modules/images/qido/search-tokens.js'),
  dist('kernel/uid.js'), dist('platform/crypto/key-vault.js'),
]);
const folder = temporaryDirectory();
/** Of the pattern: what an answer or a comparison may need. The rest is left out, so that a million fit a small disk. */
const KEPT = new Set(['00080005', '00080008', '00080016', '00080018', '00080020', '00080050', '00080060', '00100010', '00100020', '0020000D', '0020000E', '00200011', '00200013', '00200032', '00200037', '00280010', '00280011', '00280100', '7FE00010']);

export const newId = uuidv7;

/** A product of its own with one stored instance, its database as its owner sees it, and the pattern for more. */
export async function openArchive() {
  const masterKey = randomBytes(32).toString('base64');
  const product = await startProduct({ APP_ROLE: 'api', SETTLE_SECONDS: '3600', MASTER_KEY: masterKey });
  const cluster = JSON.parse(readFileSync(join(product.dataDir, 'postgres.json'), 'utf8'));
  // Every value as PostgreSQL writes it: that is what COPY reads.
  const database = new pg.Client({ host: '127.0.0.1', port: cluster.port, password: cluster.password, user: 'healthvision', database: 'healthvision', types: { getTypeParser: () => (text) => text } });
  await database.connect();
  return { product, database, pattern: await storePattern(product, database, new MasterKey({ MASTER_KEY: masterKey })) };
}

/**
 * The rows of one more study, without those below it.
 *
 * @param study  what it can be found by
 * @param columns  beside those of the pattern
 * @returns what rows below it need
 */
export function addStudyRow(tables, { rows, json, wrapping, index }, { uid, name, patientId, accession, date }, columns) {
  const keyBytes = randomBytes(KEY_BYTES);
  const [keyId, studyId] = [uuidv7(), uuidv7()];
  const key = new DataKey(keyId, keyBytes);
  const sealed = (attributes, context) => hex(sealJson(key, JSON.stringify(attributes), context));
  const own = {
    '00080020': { vr: 'DA', Value: [date] }, '00080050': { vr: 'SH', Value: [accession] }, '00100010': { vr: 'PN', Value: [{ Alphabetic: name }] }, '00100020': { vr: 'LO', Value: [patientId] }, '0020000D': { vr: 'UI', Value: [uid] },
  };
  const attributes = { ...json.study, ...own };
  const tokens = studyTokens(index, attributes);
  tables.study_keys.push({ ...rows.key, id: keyId, study_instance_uid: uid, wrapped: hex(encrypt(wrapping, keyBytes, studyContext(keyId))) });
  tables.studies.push({
    ...rows.study, id: studyId, study_instance_uid: uid, key_id: keyId, sealed: sealed(attributes, sealContext.study(studyId)), patient_id_token: String(tokens.patientIdToken),
    accession_token: String(tokens.accessionToken), search_tokens: `{${tokens.searchTokens.join(',')}}`, study_date: date, ...columns,
  });
  return { studyId, sealed, own };
}

/** One more series of a study. @param columns  beside those of the pattern */
export function addSeriesRow(tables, { rows, json }, { studyId, sealed }, number, columns) {
  const [seriesId, seriesUid] = [uuidv7(), newUid()];
  const ofSeries = { '0020000E': { vr: 'UI', Value: [seriesUid] }, '00200011': { vr: 'IS', Value: [number] } };
  tables.series.push({ ...rows.series, id: seriesId, study_id: studyId, series_instance_uid: seriesUid, series_number: String(number), sealed: sealed({ ...json.series, ...ofSeries }, sealContext.series(seriesId)), ...columns });
  return { seriesId, seriesUid, ofSeries };
}

/** One more instance of a series; it has no bytes. */
export function addInstanceRow(tables, { rows, json }, { studyId, sealed, own }, { seriesId, ofSeries }, number) {
  const [id, uid] = [uuidv7(), newUid()];
  const ofInstance = { ...json.instance, ...own, ...ofSeries, '00080018': { vr: 'UI', Value: [uid] }, '00200013': { vr: 'IS', Value: [number] } };
  tables.instances.push({ ...rows.instance, id, study_id: studyId, series_id: seriesId, sop_instance_uid: uid, instance_number: String(number), blob_key: `none/${id}`, sealed: sealed(ofInstance, sealContext.instance(id)) });
  return uid;
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

/** Names of syllables: as many of one beginning as in a hospital, none of them anybody's. */
export function nameOf(random) {
  const syllables = ['ba', 'chen', 'dor', 'el', 'fang', 'gri', 'hol', 'in', 'jo', 'kar', 'li', 'mo', 'nes', 'o', 'pet', 'quin', 'ra', 'sho', 'tam', 'ul', 'ver', 'wen', 'xu', 'yor', 'zim'];
  const word = (count) => { const text = Array.from({ length: count }, () => syllables[Math.floor(random() * syllables.length)]).join(''); return text.charAt(0).toUpperCase() + text.slice(1); };
  return `${word(4)}^${word(3)}`;
}

/** Ten years, evenly. */
export function dateOf(number) {
  return new Date(Date.UTC(2016, 0, 1 + ((number * 37) % 3650))).toISOString().slice(0, 10).replaceAll('-', '');
}

/** COPY from a file: the embedded server runs here, too. */
export async function copyRows(database, table, lines) {
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
