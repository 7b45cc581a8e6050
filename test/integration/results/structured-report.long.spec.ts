import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSr } from '../../../src/imaging/report/check-sr.js';
import type { DerivedSource } from '../../../src/imaging/report/derived.js';
import { writeSr } from '../../../src/imaging/report/sr.js';
import { orthancIsMissing, startOrthanc, type Orthanc } from '../../support/orthanc.mjs';
import { ROOT } from '../../support/product.js';
import { DATA, sharedFile } from '../../support/shared-data.js';
import { idOf, instanceOf, noduleSource, SEG, tumourSource, xraySource } from '../../support/sr-sources.js';

const run = promisify(execFile);
const exists = (command: string, ...args: string[]): boolean => spawnSync(command, args).error === undefined;
const dciodvfy = exists('dciodvfy');
if (!dciodvfy) console.warn('SKIPPED: reports are not checked by dciodvfy; apt-get install dicom3tools');
const dsrdump = exists('dsrdump', '--version');
if (!dsrdump) console.warn('SKIPPED: reports are not read by dsrdump and not sent by storescu; apt-get install dcmtk');
const python = ['python3', '/usr/bin/python3'].find((command) => spawnSync(command, ['-c', 'import highdicom']).status === 0);
if (python === undefined) console.warn('SKIPPED: reports are not read by highdicom; pip install highdicom');
const noOrthanc = orthancIsMissing({ dicomWeb: false });
if (noOrthanc !== undefined) console.warn(`SKIPPED: ${noOrthanc}; no report is stored there`);
const CT = sharedFile(DATA, 'ct', 'LIDC-IDRI-0001');
const CHARACTER_SETS = sharedFile(DATA, 'dicom-edge-cases');

interface Group {
  trackingUid: string;
  tracking: string;
  finding: string | null;
  site: string | null;
  side: string | null;
  numbers: Record<string, [number, string]>;
  answers: Record<string, string>;
  center: number[] | null;
  region: number[][] | null;
  segment: number | null;
}

interface Said {
  patient: string;
  verification: string;
  observers: string[];
  planar: Group[];
  volumetric: Group[];
  image: Group[];
}

const folder = mkdtempSync(join(tmpdir(), 'healthvision-sr-'));
const verifier = { name: '王^小东', organisation: 'Spital Zürich', at: new Date('2026-11-29T13:00:00Z') };
/** What reports are made from, by the name of their file. */
const made: Record<string, { source: DerivedSource; seg: typeof SEG | null }> = {
  'nodules-axial': { source: noduleSource({ fields: { PatientName: '王^小东' } }), seg: SEG },
  'nodules-oblique': { source: noduleSource({ course: 'oblique' }), seg: SEG },
  'nodules-reversed': { source: noduleSource({ course: 'reversed' }), seg: SEG },
  'nodules-enhanced': { source: noduleSource({ enhanced: true }), seg: SEG },
  'nodules-verified': { source: { ...noduleSource(), verifier, version: 2 }, seg: SEG },
  'nodules-without-segmentation': { source: noduleSource(), seg: null },
  'nodules-200': { source: noduleSource({ count: 200 }), seg: SEG },
  'nodules-none': { source: noduleSource({ count: 0 }), seg: null },
  'tumour': { source: tumourSource(), seg: SEG },
  'tumours': { source: tumourSource({ tumours: 2, course: 'oblique' }), seg: SEG },
  'x-ray': { source: xraySource(), seg: null },
  'x-ray-bare': { source: { ...xraySource(), instances: xraySource().instances.map((instance) => ({ ...instance, attributes: {} })) }, seg: null },
  ...(CT === undefined ? {} : { 'lidc-idri-0001': { source: lidcSource(CT), seg: SEG } }),
};
/** Each a result of its own. */
const sources = Object.fromEntries(Object.entries(made).map(([name, { source, seg }], n) => [name, { source: { ...source, resultId: idOf(1000 + n) }, seg }]));

beforeAll(() => {
  for (const [name, { source, seg }] of Object.entries(sources)) {
    const { bytes } = writeSr(source, seg);
    expect(checkSr(bytes, source, seg), name).toEqual([]);
    writeFileSync(join(folder, `${name}.dcm`), bytes);
  }
});

afterAll(() => { rmSync(folder, { recursive: true }); });

describe('reports as others read them', () => {
  it.skipIf(!dciodvfy)('have no error for dciodvfy', async () => {
    for (const name of Object.keys(sources)) {
      const { stderr } = await run('dciodvfy', [join(folder, `${name}.dcm`)], { maxBuffer: 64 << 20 }).catch((error: unknown) => error as { stderr: string });
      expect(stderr.split('\n').filter((line) => /^(Error|Abort)/.test(line)), name).toEqual([]);
      expect(stderr, name).toContain('Comprehensive3DSR');
    }
  });

  it.skipIf(!dsrdump)('are read by dsrdump without a complaint', async () => {
    for (const name of Object.keys(sources)) {
      const { stdout, stderr } = await run('dsrdump', ['+Pl', join(folder, `${name}.dcm`)], { maxBuffer: 64 << 20 });
      // It says so of every file in UTF-8.
      expect(stderr.split('\n').filter((line) => line !== '' && !line.includes('VR checker does not support this Specific Character Set')), name).toEqual([]);
      expect(stdout, name).toContain('Imaging Measurement Report');
    }
  });

  describe.skipIf(python === undefined)('by highdicom', () => {
    let said: Record<string, Said>;

    beforeAll(() => { said = readByHighdicom(Object.keys(sources).map((name) => join(folder, `${name}.dcm`))); });

    it.each(['nodules-axial', 'nodules-oblique', 'nodules-reversed', 'nodules-enhanced'])('say where every nodule is (%s)', (name) => {
      const { planar, volumetric, image } = entry(said, name);
      const { source: { findings } } = entry(sources, name);
      expect([planar.length, volumetric.length, image.length]).toEqual([findings.length, findings.length, 0]);
      for (const [n, { location, measurements }] of findings.entries()) {
        const [region, segment] = [planar[n], volumetric[n]];
        for (const axis of [0, 1, 2]) expect(region?.center?.[axis]).toBeCloseTo(location?.center?.[axis] ?? NaN, 3);
        const middle = [0, 1].map((axis) => (region?.region ?? []).reduce((sum, point) => sum + (point[axis] ?? NaN), 0) / 4);
        expect(middle.map((value) => Number(value.toFixed(3)))).toEqual([4.5 + 7 * n, 4.5]);
        expect(segment?.segment).toBe(n + 1);
        expect(segment?.trackingUid).toBe(region?.trackingUid);
        expect(segment?.numbers).toEqual({ 'Volume': [measurements.find((one) => one.name === 'volume')?.value, 'mm3'], 'Attenuation Coefficient': [-231, "[hnsf'U]"] });
        expect(region?.numbers['Long axis']).toEqual([measurements.find((one) => one.name === 'longAxis')?.value, 'mm']);
        expect(region).toMatchObject({ tracking: `Nodule ${String(n + 1)}`, finding: 'Solitary nodule of lung', site: 'Lung', side: 'Left', answers: { 'Attenuation of the nodule': 'part-solid pulmonary nodule', 'Lung-RADS v2022 category': 'Lung-RADS category 4A' } });
      }
    });

    it('are as many as were found', () => {
      expect([entry(said, 'nodules-200').planar.length, entry(said, 'nodules-200').volumetric.length]).toEqual([200, 200]);
      const none = entry(said, 'nodules-none');
      expect([none.planar.length, none.volumetric.length, none.image.length]).toEqual([0, 0, 0]);
      expect([entry(said, 'tumours').planar.length, entry(said, 'tumours').volumetric.length]).toEqual([2, 0]);
    });

    it('say who stands for them', () => {
      expect(entry(said, 'nodules-verified')).toMatchObject({ verification: 'VERIFIED', observers: ['Device', 'Person'] });
      expect(entry(said, 'nodules-axial')).toMatchObject({ verification: 'UNVERIFIED', observers: ['Device'], patient: '王^小东' });
    });

    it('say what an X-ray shows and what it does not', () => {
      const { image } = entry(said, 'x-ray');
      expect(image.map(({ finding, answers, numbers }) => [finding, Object.values(answers).at(-1), numbers['Certainty of Finding']])).toEqual([['Pneumonia', 'Present', [93, '%']], [null, 'Absent', [7, '%']], [null, 'Absent', [7, '%']]]);
    });

    it.skipIf(CHARACTER_SETS === undefined)('name the patient as the images do, whatever their character set', () => {
      const files = readdirSync(CHARACTER_SETS ?? '').filter((name) => /^chr(?!SQ).*\.dcm$/.test(name));
      // Two of them are no images.
      expect(files.length).toBeGreaterThan(8);
      for (const name of files) {
        const source = withPatientOf(xraySource(), readFileSync(join(CHARACTER_SETS ?? '', name)));
        const { bytes } = writeSr(source, null);
        expect(checkSr(bytes, source, null), name).toEqual([]);
        writeFileSync(join(folder, `charset-${name}`), bytes);
      }
      const names = spawnSync(python ?? '', ['-c', 'import pydicom, sys\nfor path in sys.argv[1:]: print(str(pydicom.dcmread(path).PatientName).rstrip("=").strip())', ...files.flatMap((name) => [join(CHARACTER_SETS ?? '', name), join(folder, `charset-${name}`)])], { encoding: 'utf8', env: { ...process.env, PYTHONIOENCODING: 'utf8' } }).stdout.split('\n');
      for (const [n, name] of files.entries()) expect(names[2 * n + 1], name).toBe(names[2 * n]);
    });
  });

  describe.skipIf(noOrthanc !== undefined || !dsrdump)('by Orthanc', () => {
    let orthanc: Orthanc;

    beforeAll(async () => { orthanc = await startOrthanc({ dicomWeb: false }); });
    afterAll(async () => { await orthanc.stop(); });

    it('are stored as storescu sends them', async () => {
      const paths = Object.keys(sources).map((name) => join(folder, `${name}.dcm`));
      await run('storescu', ['-R', '-aec', 'ORTHANC', '127.0.0.1', String(orthanc.dicomPort), ...paths]);
      const kept = (await (await fetch(`${orthanc.url}/instances?expand`)).json()) as { MainDicomTags: { SOPInstanceUID: string } }[]; // Orthanc's own shape
      const expected = new Set(Object.values(sources).map(({ source, seg }) => writeSr(source, seg).sopInstanceUid));
      expect(new Set(kept.map(({ MainDicomTags }) => MainDicomTags.SOPInstanceUID))).toEqual(expected);
    });
  });
});

function readByHighdicom(paths: readonly string[]): Record<string, Said> {
  const { status, stdout, stderr } = spawnSync(python ?? '', [join(ROOT, 'test', 'golden', 'report', 'read_sr.py'), ...paths], { encoding: 'utf8', maxBuffer: 64 << 20, env: { ...process.env, PYTHONIOENCODING: 'utf8' } });
  expect(status, stderr).toBe(0);
  const said = JSON.parse(stdout) as Said[]; // the script's own shape
  return Object.fromEntries(Object.keys(sources).map((name, n) => [name, said[n] ?? { patient: '', verification: '', observers: [], planar: [], volumetric: [], image: [] }]));
}

function entry<T>(of: Record<string, T>, name: string): T {
  const found = of[name];
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

/** A source with the patient's elements of a file. */
function withPatientOf(source: DerivedSource, file: Uint8Array): DerivedSource {
  const patient = Object.fromEntries(Object.entries(instanceOf({ bytes: file }).attributes).filter(([tag]) => tag.startsWith('0010')));
  return { ...source, instances: source.instances.map((instance) => ({ ...instance, attributes: { ...instance.attributes, ...patient } })) };
}

/** The nodule of LIDC-IDRI-0001 as LUNA16 has it, in the images that it was marked in. */
function lidcSource(ct: string): DerivedSource {
  const instances = readdirSync(ct, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.dcm')).map((name) => instanceOf({ bytes: readFileSync(join(ct, name)) }));
  const center = [56.2, 86.3, -115.9] as const;
  const height = (attributes: DerivedSource['instances'][number]['attributes']): number => Math.abs(Number(attributes['00200032']?.Value?.[2]) - center[2]);
  const [nearest] = [...instances].sort((a, b) => height(a.attributes) - height(b.attributes));
  if (nearest === undefined) throw new Error('no images');
  const base = noduleSource({ count: 1 });
  const studyInstanceUid = nearest.attributes['0020000D']?.Value?.[0];
  return {
    ...base, instances, segmentation: null, segments: [], keyImage: { sopInstanceUid: nearest.sopInstanceUid, frame: 1 }, studyInstanceUid: typeof studyInstanceUid === 'string' ? studyInstanceUid : '',
    findings: base.findings.map((finding) => ({
      ...finding, id: idOf(0), location: { center: [...center], sopInstanceUid: nearest.sopInstanceUid, frame: 1 },
      measurements: [{ name: 'diameter', value: 23.4, unit: 'mm' }, { name: 'longAxis', value: 25.1, unit: 'mm' }],
    })),
  };
}
