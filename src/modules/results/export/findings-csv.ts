import type { Finding } from '../../../imaging/report/finding.js';
import { csvLine } from '../../../platform/http/csv.js';
import type { ExportedResult } from './result-export.store.js';

/** Without a byte order mark spreadsheets take UTF-8 for the code page of the country. */
const BYTE_ORDER_MARK = '\ufeff';

/** Measurements that have columns of their own, in the unit of the column. */
const MEASURES = [
  ['diameterMm', 'diameter', 'mm'], ['longAxisMm', 'longAxis', 'mm'], ['shortAxisMm', 'shortAxis', 'mm'], ['perpendicularDiameterMm', 'perpendicularDiameter', 'mm'], ['solidDiameterMm', 'solidDiameter', 'mm'],
  ['volumeMl', 'volume', 'ml'], ['coreVolumeMl', 'coreVolume', 'ml'], ['enhancingVolumeMl', 'enhancingVolume', 'ml'],
  ['enhancingDiameterMm', 'enhancingDiameter', 'mm'], ['enhancingPerpendicularDiameterMm', 'enhancingPerpendicularDiameter', 'mm'],
  ['midlineShiftMm', 'midlineShift', 'mm'], ['meanAttenuationHu', 'meanAttenuation', 'HU'],
] as const;
const ATTRIBUTES = ['side', 'zone', 'attenuation', 'lungRads'] as const;

/** Columns with what they hold, for the API document. */
export const COLUMNS: readonly (readonly [name: string, meaning: string])[] = [
  ['resultId', 'result'], ['createdAt', 'when the result was made, UTC'], ['analysis', 'analysis'], ['status', 'state of the result'], ['critical', '`yes` or empty'],
  ['studyInstanceUid', 'study'], ['patientId', 'our id of the patient, never the Patient ID; empty without one'],
  ['model', 'name of the model'], ['modelVersion', 'its version'], ['modelDigest', 'its digest'],
  ['findingId', 'finding; empty where the result has none'], ['number', 'its number in the result, from 1'], ['kind', 'kind of finding'],
  ['codeSystem', 'system of its code'], ['code', 'its code'], ['codeMeaning', 'what the code means'], ['score', 'how sure the model is, 0–1; empty for what a person added'],
  ['review', 'what a person made of it: `accepted`, `edited`, `rejected` or `added`; empty where nobody has decided'], ['rejectionReason', 'why it was rejected'],
  ...ATTRIBUTES.map((name) => [name, `attribute \`${name}\``] as const),
  ...MEASURES.map(([column, name, unit]) => [column, `measurement \`${name}\` in ${unit === 'ml' ? 'millilitres' : unit === 'mm' ? 'millimetres' : 'Hounsfield units'}`] as const),
  ['centerX', 'centre, LPS millimetres'], ['centerY', 'centre, LPS millimetres'], ['centerZ', 'centre, LPS millimetres'],
  ['otherMeasurements', 'every other one as `name=value unit`, with semicolons between'],
];

/** The columns' names, and a line for each finding, oldest result first; a result without findings has one line. */
export async function* findingsCsv(pages: AsyncIterable<readonly ExportedResult[]>): AsyncGenerator<string> {
  yield BYTE_ORDER_MARK + csvLine(COLUMNS.map(([name]) => name));
  for await (const results of pages) yield results.map(linesOf).join('');
}

function linesOf(result: ExportedResult): string {
  const { id, createdAt, analysis, status, summary, studyInstanceUid, patientId, provenance: { model }, findings } = result;
  // What the gate refused is not released; that there was something is.
  const released = status === 'withheld' ? [] : findings;
  const first = [id, createdAt.toISOString(), analysis, status, summary.critical && status !== 'withheld' ? 'yes' : '', studyInstanceUid, patientId, model.name, model.version, model.digest];
  const [nothing] = [Array.from({ length: COLUMNS.length - first.length }, () => '')];
  if (released.length === 0) return csvLine([...first, ...nothing]);
  return released.map((finding, index) => csvLine([...first, ...cellsOf(finding, index + 1)])).join('');
}

function cellsOf({ id, kind, code, score, attributes = [], measurements, location, review }: Finding, number: number): (string | number | undefined)[] {
  const [x, y, z] = location?.center ?? [];
  const known = new Set<Finding['measurements'][number]>();
  const measures = MEASURES.map(([, name, unit]) => {
    const found = measurements.find((one) => one.name === name && inUnit(one, unit) !== undefined);
    if (!found) return undefined;
    known.add(found);
    return inUnit(found, unit);
  });
  const others = measurements.filter((one) => !known.has(one)).map(({ name, value, unit }) => `${name}=${String(value)} ${unit}`).join('; ');
  return [id, number, kind, code.system, code.value, code.meaning, review?.state === 'added' ? undefined : score, review?.state, review?.reason, ...ATTRIBUTES.map((wanted) => attributes.find(({ name }) => name === wanted)?.value), ...measures, x, y, z, others];
}

function inUnit({ value, unit }: { value: number; unit: string }, wanted: string): number | undefined {
  if (unit === wanted) return value;
  return unit === 'mm3' && wanted === 'ml' ? Number((value / 1000).toFixed(6)) : undefined;
}
