import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromBuffer, type Entry } from 'yauzl';
import { text } from '../../../src/imaging/dicom/attributes.js';
import { parseInstanceBytes, type ParsedInstance } from '../../../src/imaging/dicom/header.js';
import { frameLocation } from '../../../src/imaging/dicom/pixels.js';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { concat, dicomFile, encapsulated, imagePixel, withElements, type Element } from '../../support/dicom-builder.js';
import { openExportHouse, type ExportHouse } from './deidentified-house.js';

const CLASS = '1.2.840.10008.5.1.4.1.1.';
const study = newDicomUid();
const laterStudy = newDicomUid();
const SOURCE = '1.2.826.0.1.3680043.8.498.777';

/** All that must never come out again, as it was put in below. */
const SECRETS = [
  'Doemueller', 'Dömüller', 'Johnpatrick', 'MRN-0815-4711', '19500102', 'ACC-778899', 'Mary Hospital', 'Gracemiller', 'Elmstreet', '555-0123', 'ward seven', 'SN-REAL-42', '20200229', '20210630',
  '王', '小东', 'Xiaodong', 'hidden in private', 'seen by Gracemiller', SOURCE, study, laterStudy, 'CALLINGAE', 'preamble secret',
];

const patient: Element[] = [
  [0x00080005, 'CS', 'ISO_IR 100'],
  [0x00080020, 'DA', '20200229'], [0x00080030, 'TM', '101112'], [0x00080050, 'SH', 'ACC-778899'], [0x00080080, 'LO', 'Mary Hospital'], [0x00080090, 'PN', 'Gracemiller^A'],
  [0x00081030, 'LO', 'CT CHEST Johnpatrick'], [0x00100010, 'PN', 'Doemueller^Johnpatrick'], [0x00100020, 'LO', 'MRN-0815-4711'], [0x00100030, 'DA', '19500102'], [0x00101040, 'LO', '1 Elmstreet'], [0x00102154, 'SH', '555-0123'],
  [0x00181000, 'LO', 'SN-REAL-42'], [0x0020000d, 'UI', study], [0x0020000e, 'UI', `${SOURCE}.1`], [0x00200052, 'UI', `${SOURCE}.9`],
];

const nested: Element[] = [
  [0x00081140, 'SQ', [[[0x00081150, 'UI', `${CLASS}2`], [0x00081155, 'UI', `${SOURCE}.100`], [0x00100010, 'PN', 'Doemueller^J'], [0x00204000, 'LT', 'seen by Gracemiller'], [0x00111001, 'LO', 'hidden in private'],
    [0x00081199, 'SQ', [[[0x00081155, 'UI', `${SOURCE}.101`], [0x00081048, 'PN', 'Gracemiller^A'], [0x00321060, 'LO', 'for Doemueller']]]]]]],
  [0x00090010, 'LO', 'HIDDEN 1.0'], [0x00091001, 'UN', Buffer.from('hidden in private!')], [0x00091002, 'SQ', [[[0x00100010, 'PN', 'Doemueller^J']]]],
  [0x00081111, 'UN', concat([Buffer.from('feff00e0', 'hex'), Uint8Array.of(26, 0, 0, 0), Buffer.from('10001000', 'hex'), Uint8Array.of(18, 0, 0, 0), Buffer.from('Doemueller^Johnpat')])],
  [0x00181020, 'LO', 'V5 (Doemueller)'], [0x00184000, 'LT', 'ward seven'], [0x60000022, 'LO', 'Doemueller'], [0x60003000, 'OW', [1, 2]], [0x00081070, 'PN', 'Dömüller'],
];

function instance(kind: string, number: number, elements: readonly Element[], options: Parameters<typeof dicomFile>[1] = {}): Uint8Array {
  const file = dicomFile(withElements([[0x00080016, 'UI', CLASS + kind], [0x00080018, 'UI', `${SOURCE}.${String(99 + number)}`], ...patient], ...elements), options);
  Buffer.from(file.buffer, file.byteOffset).write('preamble secret', 0, 'latin1');
  return file;
}

const ultrasound: Element[] = [
  [0x00080060, 'CS', 'US'], ...withElements(imagePixel(64, 96), [0x00280002, 'US', [3]], [0x00280004, 'CS', 'YBR_FULL_422'], [0x00280006, 'US', [0]]), [0x00280008, 'IS', '2'],
  [0x00186011, 'SQ', [[[0x00186018, 'UL', [16]], [0x0018601a, 'UL', [16]], [0x0018601c, 'UL', [79]], [0x0018601e, 'UL', [47]]]]],
];

async function jpegWithNames(): Promise<Uint8Array> {
  const jpeg = await sharp({ create: { width: 96, height: 64, channels: 3, background: '#ffffff' } }).jpeg({ quality: 100 }).toBuffer();
  return concat([jpeg.subarray(0, 2), Buffer.from('fffe000c', 'hex'), Buffer.from('Doemueller'), jpeg.subarray(2), ...(jpeg.length % 2 === 0 ? [] : [new Uint8Array(1)])]);
}

interface Unpacked {
  files: Map<string, Buffer>;
  report: {
    studyInstanceUid: string; instances: { exported: number; refused: number }; pixelData: { copied: number; blackedOut: number }; elements: Record<string, number>;
    refused: { seriesInstanceUid: string; sopInstanceUid: string; code: string }[]; methods: { code: string }[];
  };
}

function unpack(zip: Buffer): Promise<Unpacked> {
  return new Promise((resolve, reject) => {
    const files = new Map<string, Buffer>();
    fromBuffer(zip, { lazyEntries: true }, (error, archive) => {
      if (error) { reject(error); return; }
      archive.on('entry', (entry: Entry) => {
        archive.openReadStream(entry, (failed, stream) => {
          if (failed) { reject(failed); return; }
          const chunks: Buffer[] = [];
          stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject).on('end', () => {
            files.set(entry.fileName, Buffer.concat(chunks));
            archive.readEntry();
          });
        });
      }).on('error', reject).on('end', () => {
        const report = files.get('report.json');
        files.delete('report.json');
        // The shape that the service promises.
        resolve({ files, report: JSON.parse(report?.toString() ?? '{}') as Unpacked['report'] });
      });
      archive.readEntry();
    });
  });
}

let house: ExportHouse;
const folder = mkdtempSync(join(tmpdir(), 'healthvision-export-'));

async function exported(studyInstanceUid: string, project: string, options: object = {}): Promise<Unpacked & { zip: Buffer }> {
  const response = await house.export(studyInstanceUid, { project, options });
  if (response.status !== 200) throw new Error(`${String(response.status)} ${await response.text()}`);
  const zip = Buffer.from(await response.arrayBuffer());
  return { zip, ...(await unpack(zip)) };
}

const parsedFiles = ({ files }: Unpacked): ParsedInstance[] => [...files.values()].map((bytes) => parseInstanceBytes(bytes));

beforeAll(async () => {
  house = await openExportHouse();
  const pixels: Element = [0x7fe00010, 'OW', [1, 2, 3, 4]];
  const gb = concat([Buffer.from('Wang^Xiaodong='), Buffer.from('cdf5', 'hex'), Buffer.from('^'), Buffer.from('d0a1b6ab', 'hex')]);
  const frame = await jpegWithNames();
  const objects = [
    instance('2', 1, [...nested, ...imagePixel(2, 2, 16), pixels], { transferSyntax: '1.2.840.10008.1.2' }),
    instance('2', 2, [...nested, ...imagePixel(2, 2, 16), pixels]),
    instance('2', 3, [...nested, ...imagePixel(2, 2, 16), pixels], { transferSyntax: '1.2.840.10008.1.2.2' }),
    instance('4', 4, [[0x00080005, 'CS', 'GB18030'], [0x00100010, 'PN', gb], [0x00081070, 'PN', 'Gracemiller'], [0x0008103e, 'LO', Buffer.from('cdf5d0a1b6abd0d8b2bfc6bdc9a8', 'hex')], ...imagePixel(2, 2, 16), pixels]),
    instance('3.1', 5, [...ultrasound, [0x7fe00010, 'OB', encapsulated([frame, frame]), { undefinedLength: true }]], { transferSyntax: '1.2.840.10008.1.2.4.50' }),
    instance('128', 6, [...imagePixel(64, 96), [0x7fe00010, 'OB', encapsulated([frame]), { undefinedLength: true }]].map((element) => element as Element), { transferSyntax: '1.2.840.10008.1.2.4.50' }),
    instance('88.11', 7, [[0x00080060, 'CS', 'SR'], [0x0040a730, 'SQ', [[[0x0040a040, 'CS', 'TEXT'], [0x0040a160, 'UT', 'Mr Doemueller, seen by Gracemiller']]]]]),
    instance('7', 8, [...imagePixel(2, 2, 16), pixels]),
    instance('104.1', 9, [[0x00420011, 'OB', Buffer.from('%PDF Doemueller ')]]),
  ];
  for (const bytes of objects) await house.ingest(bytes);
  await house.ingest(instance('2', 50, [[0x0020000d, 'UI', laterStudy], [0x0020000e, 'UI', `${SOURCE}.2`], [0x00080020, 'DA', '20210630'], ...imagePixel(2, 2, 16), pixels]));
});

afterAll(async () => {
  await house.close();
  rmSync(folder, { recursive: true, force: true });
});

const hasDcmdump = spawnSync('dcmdump', ['--version']).status === 0;
const python = ['python3', '/usr/bin/python3'].find((command) => spawnSync(command, ['-c', 'import pydicom']).status === 0);
if (!hasDcmdump) console.warn('SKIPPED: exports are not read by DCMTK; apt-get install dcmtk');
if (python === undefined) console.warn('SKIPPED: exports are not read by pydicom; apt-get install python3-pydicom');

describe('A de-identified export', () => {
  let first: Unpacked & { zip: Buffer };

  beforeAll(async () => {
    first = await exported(study, 'Lung study');
    for (const [index, bytes] of [...first.files.values()].entries()) writeFileSync(join(folder, `${String(index)}.dcm`), bytes);
  });

  it('holds nothing of what was seeded, not in a byte of the archive', () => {
    for (const secret of SECRETS) {
      expect(first.zip.includes(secret), secret).toBe(false);
      expect(!/[^\p{Script=Latin}\p{ASCII}]/u.test(secret) && first.zip.includes(Buffer.from(secret, 'latin1')), secret).toBe(false);
    }
    // 王^, 小东 in GB18030
    for (const name of ['cdf55e', 'd0a1b6ab']) expect(first.zip.includes(Buffer.from(name, 'hex')), name).toBe(false);
  });

  it('is named by pseudonyms, tells what was left out and why, and marks what was done', () => {
    expect(first.report).toMatchObject({ instances: { exported: 7, refused: 2 }, pixelData: { copied: 5, blackedOut: 1 } });
    expect(first.report.refused.map(({ code }) => code).sort()).toEqual(['encapsulated-document', 'screen-capture']);
    expect(first.report.refused.every(({ sopInstanceUid, seriesInstanceUid }) => sopInstanceUid.startsWith('2.25.') && seriesInstanceUid.startsWith('2.25.'))).toBe(true);
    expect(first.report.methods.map(({ code }) => code)).toEqual(['113100', '113101', '113105', '113107']);
    expect(first.report.elements).toMatchObject({ residualEmptied: 3 });
    for (const [name, bytes] of first.files) {
      const parsed = parseInstanceBytes(bytes);
      const id = text(parsed.attributes, 'PatientID') ?? '';
      expect(id).toMatch(/^Lung-study-[0-9A-HJKMNP-TV-Z]{12}$/);
      expect(name).toBe(`${id}/${parsed.studyInstanceUid}/${parsed.seriesInstanceUid}/${parsed.sopInstanceUid}.dcm`);
      expect(parsed.studyInstanceUid).toBe(first.report.studyInstanceUid);
      expect(parsed.meta.mediaStorageSopInstanceUid).toBe(parsed.sopInstanceUid);
      expect(parsed.meta.sourceApplicationEntityTitle).toBeUndefined();
      expect(text(parsed.attributes, 'PatientIdentityRemoved')).toBe('YES');
      expect(text(parsed.attributes, '00280303')).toBe('MODIFIED');
    }
    expect(new Set(parsedFiles(first).map(({ attributes }) => text(attributes, 'PatientID'))).size).toBe(1);
  });

  it('keeps the images: native ones in little endian, compressed ones as they were, references among them whole', () => {
    const files = parsedFiles(first);
    const bytes = [...first.files.values()];
    const ct = files.flatMap((parsed, index) => (parsed.sopClassUid === `${CLASS}2` ? [{ parsed, bytes: bytes[index] ?? Buffer.of() }] : []));
    expect(ct).toHaveLength(3);
    for (const { parsed, bytes: file } of ct) {
      const [range] = frameLocation(parsed, 0);
      expect([...file.subarray(range?.offset, (range?.offset ?? 0) + 8)]).toEqual([1, 0, 2, 0, 3, 0, 4, 0]);
      expect(parsed.meta.transferSyntaxUid).toBe('1.2.840.10008.1.2.1');
    }
    const [a] = ct;
    const references = JSON.stringify(a?.parsed.attributes['00081140']);
    expect(references).toContain(ct.find(({ parsed }) => text(parsed.attributes, 'SOPInstanceUID') === files[0]?.sopInstanceUid)?.parsed.sopInstanceUid);
    expect(files.find(({ sopClassUid }) => sopClassUid === `${CLASS}128`)?.meta.transferSyntaxUid).toBe('1.2.840.10008.1.2.4.50');
    expect(text(files.find(({ sopClassUid }) => sopClassUid === `${CLASS}4`)?.attributes ?? {}, 'SeriesDescription')).toBe('胸部平扫');
  });

  it('blacks out of an ultrasound image all but its region, in every frame', () => {
    const entry = [...first.files.values()].map((bytes) => ({ bytes, parsed: parseInstanceBytes(bytes) })).find(({ parsed }) => parsed.sopClassUid === `${CLASS}3.1`);
    if (entry === undefined) throw new Error('no ultrasound');
    expect(text(entry.parsed.attributes, 'PhotometricInterpretation')).toBe('RGB');
    expect(text(entry.parsed.attributes, 'BurnedInAnnotation')).toBe('NO');
    for (const frame of [0, 1]) {
      const [range] = frameLocation(entry.parsed, frame);
      const at = (x: number, y: number): number => entry.bytes[(range?.offset ?? 0) + (y * 96 + x) * 3] ?? -1;
      for (const [x, y] of [[0, 0], [95, 63], [15, 20], [80, 20], [20, 15], [20, 48]] as const) expect(at(x, y), `${String(x)},${String(y)}`).toBe(0);
      for (const [x, y] of [[16, 16], [79, 47], [40, 30]] as const) expect(at(x, y), `${String(x)},${String(y)}`).toBeGreaterThan(240);
    }
  });

  it.skipIf(!hasDcmdump)('is read by DCMTK without a complaint, and shows it no secret', () => {
    for (const name of readdirSync(folder)) {
      const { status, stdout, stderr } = spawnSync('dcmdump', ['+L', '+R', '1024', join(folder, name)], { encoding: 'utf8', maxBuffer: 64 << 20 });
      expect(status).toBe(0);
      expect(stderr).not.toMatch(/^E:/m);
      for (const secret of SECRETS) expect(stdout, secret).not.toContain(secret);
    }
  });

  it.skipIf(python === undefined)('is read by pydicom, and shows it no secret', () => {
    const script = 'import sys, pydicom\nfor name in sys.argv[1:]:\n    ds = pydicom.dcmread(name)\n    ds.walk(lambda d, e: e.value)\n    print(ds.file_meta)\n    print(ds)\n    print(ds.is_little_endian if hasattr(ds, "is_little_endian") else "")\n';
    const { status, stdout, stderr } = spawnSync(python ?? '', ['-W', 'error', '-c', script, ...readdirSync(folder).map((name) => join(folder, name))], { encoding: 'utf8', maxBuffer: 64 << 20, env: { ...process.env, PYTHONIOENCODING: 'utf8' } });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    for (const secret of SECRETS) expect(stdout, secret).not.toContain(secret);
  });

  it('maps alike the second time, and otherwise in another project', async () => {
    const again = await exported(study, 'Lung study');
    expect([...again.files.keys()]).toEqual([...first.files.keys()]);
    const elsewhere = await exported(study, 'Heart study');
    expect([...elsewhere.files.keys()].filter((name) => first.files.has(name))).toEqual([]);
    expect(elsewhere.report.studyInstanceUid).not.toBe(first.report.studyInstanceUid);
  });

  it('moves all dates of a patient by the same days, over all their studies', async () => {
    const later = await exported(laterStudy, 'Lung study');
    const day = (parsed: ParsedInstance | undefined): number => {
      const date = text(parsed?.attributes ?? {}, 'StudyDate') ?? '';
      return Date.UTC(Number(date.slice(0, 4)), Number(date.slice(4, 6)) - 1, Number(date.slice(6))) / 86_400_000;
    };
    const [a, b] = [parsedFiles(first)[0], parsedFiles(later)[0]];
    expect(day(b) - day(a)).toBe(487);
    expect(text(b?.attributes ?? {}, 'PatientID')).toBe(text(a?.attributes ?? {}, 'PatientID'));
    expect(text(b?.attributes ?? {}, 'FrameOfReferenceUID')).toBe(text(a?.attributes ?? {}, 'FrameOfReferenceUID'));
  });

  it('does what the options say', async () => {
    const { report, files, zip } = await exported(study, 'Lung study', { retainDevice: true, cleanDescriptors: false, longitudinal: 'remove', cleanPixelData: false });
    expect(report.instances).toEqual({ exported: 8, refused: 1 });
    expect(report.pixelData).toEqual({ copied: 7, blackedOut: 0 });
    const [parsed] = [...files.values()].map((bytes) => parseInstanceBytes(bytes));
    expect(text(parsed?.attributes ?? {}, 'DeviceSerialNumber')).toBe('SN-REAL-42');
    expect(text(parsed?.attributes ?? {}, 'StudyDescription')).toBeUndefined();
    expect(parsed?.attributes['00080020']).toEqual({ vr: 'DA' });
    for (const secret of SECRETS.filter((one) => one !== 'SN-REAL-42')) expect(zip.includes(secret), secret).toBe(false);
  });
});

describe('POST …/deidentified-exports', () => {
  it('refuses a project that could not name a folder, unknown options and unknown studies', async () => {
    for (const body of [{}, { project: '' }, { project: '   ' }, { project: 'a/b' }, { project: 'x'.repeat(65) }, { project: 'p', options: { keepNames: true } }, { project: 'p', options: { longitudinal: 'keep' } }, { project: 'p', more: 1 }]) {
      expect((await house.export(study, body)).status, JSON.stringify(body)).toBe(400);
    }
    const unknown = await house.export(newDicomUid(), { project: 'p' });
    expect([unknown.status, ((await unknown.json()) as { code: string }).code]).toEqual([404, 'study-not-found']);
  });

  it('is for those who may export', async () => {
    for (const [role, status] of [['radiologist', 403], ['technician', 403], ['service', 200], ['admin', 200]] as const) {
      const response = await house.export(laterStudy, { project: 'p' }, await house.person(role));
      expect([role, response.status]).toEqual([role, status]);
      await response.arrayBuffer();
    }
  });

  it('names the file without naming anybody, and is kept by no cache', async () => {
    const response = await house.export(laterStudy, { project: 'p' });
    expect(Object.fromEntries(['content-type', 'content-disposition', 'cache-control'].map((name) => [name, response.headers.get(name)])))
      .toEqual({ 'content-type': 'application/zip', 'content-disposition': 'attachment; filename="deidentified-export.zip"', 'cache-control': 'no-store' });
    await response.arrayBuffer();
  });

  it('lists damaged objects, and sends the rest', async () => {
    const damaged = newDicomUid();
    const ct = (number: number): Uint8Array => instance('2', 70 + number, [[0x0020000d, 'UI', damaged], [0x0020000e, 'UI', `${SOURCE}.7`], ...imagePixel(2, 2, 16), [0x7fe00010, 'OW', [1, 2, 3, 4]]]);
    await house.ingest(ct(1));
    const before = new Set(blobs());
    await house.ingest(ct(2));
    const [fresh] = blobs().filter((path) => !before.has(path));
    const bytes = readFileSync(fresh ?? '');
    bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1;
    writeFileSync(fresh ?? '', bytes);
    const { report } = await exported(damaged, 'p');
    expect(report.instances).toEqual({ exported: 1, refused: 1 });
    expect(report.refused[0]?.code).toBe('blob-corrupt');
  });

  it('sends a large object without holding it, and forgets clients that go away', async () => {
    const large = newDicomUid();
    const size = 96 << 20;
    await house.ingest(instance('2', 80, [[0x0020000d, 'UI', large], [0x0020000e, 'UI', `${SOURCE}.8`], ...imagePixel(4096, 4096, 16), [0x00280008, 'IS', '3'], [0x7fe00010, 'OW', new Uint8Array(size)]]));
    setFlagsFromString('--expose-gc');
    // The function that the flag has just made.
    const collect = runInNewContext('gc') as () => void;
    const held = (): number => {
      collect();
      const { arrayBuffers, external } = process.memoryUsage();
      return Math.max(arrayBuffers, external);
    };
    const start = held();
    let most = 0;
    let received = 0;
    const response = await house.export(large, { project: 'p' });
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      const before = received;
      received += chunk.length;
      if (before >> 22 !== received >> 22) most = Math.max(most, held() - start);
    }
    expect(received).toBeGreaterThan(size);
    expect(most).toBeLessThan(24 << 20);
    for (let round = 0; round < 3; round++) await hangUp(large);
    expect((await exported(laterStudy, 'p')).report.instances.exported).toBe(1);
    await expect.poll(() => held() - start, { timeout: 10_000 }).toBeLessThan(24 << 20);
  });
});

function blobs(): string[] {
  return readdirSync(house.directory, { recursive: true, encoding: 'utf8' }).map((path) => join(house.directory, path)).filter((path) => path.includes('blobs') && statSync(path).isFile());
}

/** Asks for an export and goes after the first bytes. */
async function hangUp(studyInstanceUid: string): Promise<void> {
  const response = await house.export(studyInstanceUid, { project: 'p' });
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
}
