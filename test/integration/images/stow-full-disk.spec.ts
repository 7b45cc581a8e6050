import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DicomJson } from '../../../src/imaging/dicom/dicom-json.js';
import { AppError, type ErrorCode } from '../../../src/kernel/errors.js';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { openArchiveHouse, type ArchiveHouse } from './archive-house.js';
import { relatedBody, testInstance } from './instances.js';

let house: ArchiveHouse;

beforeAll(async () => { house = await openArchiveHouse(); });
afterAll(async () => { await house.close(); });
afterEach(() => { vi.restoreAllMocks(); });

const STUDY = newDicomUid();
const OUT_OF_RESOURCES = 0xa700;

interface Answer {
  status: number;
  json: DicomJson & { code?: string; detail?: string };
}

async function send(type: string, body: Uint8Array): Promise<Answer> {
  const response = await house.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': `multipart/related; type="${type}"; boundary=boundary-7` }, body: new Uint8Array(body) });
  return { status: response.status, json: (await response.json()) as Answer['json'] };
}

/** A data set for each UID; those that name a part have their pixels there. */
function metadata(uids: readonly string[], pixels: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const element = (vr: string, ...Value: unknown[]): unknown => ({ vr, Value });
  const dataSets = uids.map((uid) => ({
    '00080016': element('UI', '1.2.840.10008.5.1.4.1.1.7'), '00080018': element('UI', uid), '0020000D': element('UI', STUDY), '0020000E': element('UI', `${STUDY}.1`),
    ...(pixels[uid] !== undefined && { '00420011': { vr: 'OB', BulkDataURI: pixels[uid] } }),
  }));
  const parts = [`Content-Type: application/dicom+json\r\n\r\n${JSON.stringify(dataSets)}`, ...new Set(Object.values(pixels).map((uri) => `Content-Type: application/octet-stream\r\nContent-Location: ${uri}\r\n\r\nbytes`))];
  return send('application/dicom+json', Buffer.from(`${parts.map((part) => `--boundary-7\r\n${part}\r\n`).join('')}--boundary-7--`));
}

/** What comes to the disk as the n-th, counted from 0, meets an error. */
function failAt(fails: (n: number) => boolean, code: ErrorCode = 'storage-full'): void {
  const blobs = house.app.get(BlobStore);
  const begin = blobs.begin.bind(blobs);
  let drafts = 0;
  vi.spyOn(blobs, 'begin').mockImplementation(async () => {
    const draft = await begin();
    if (fails(drafts++)) draft.write = () => Promise.reject(new AppError(code));
    return draft;
  });
}

const uids = (count: number): string[] => Array.from({ length: count }, () => newDicomUid());
const stored = ({ json }: Answer): unknown[] => (json['00081199']?.Value ?? []).map((item) => (item as DicomJson)['00081155']?.Value?.[0]);
const failed = ({ json }: Answer): unknown[] => (json['00081198']?.Value ?? []).map((item) => [(item as DicomJson)['00081155']?.Value?.[0], (item as DicomJson)['00081197']?.Value?.[0]]);

describe('STOW-RS on a disk that is full', () => {
  it('refuses the data set that finds no room, and stores the others', async () => {
    const [first = '', second = '', third = ''] = uids(3);
    failAt((n) => n === 1);
    const answer = await metadata([first, second, third]);
    expect([answer.status, stored(answer), failed(answer)]).toEqual([202, [first, third], [[second, OUT_OF_RESOURCES]]]);
  });

  it('refuses the data sets whose bulk data find no room', async () => {
    const [first = '', second = '', third = ''] = uids(3);
    failAt((n) => n === 0);
    const answer = await metadata([first, second, third], { [first]: 'a', [second]: 'b', [third]: 'a' });
    expect([answer.status, stored(answer), failed(answer)]).toEqual([202, [second], [[first, OUT_OF_RESOURCES], [third, OUT_OF_RESOURCES]]]);
  });

  it('has no room when no instance finds any, however they come', async () => {
    failAt(() => true);
    const answers = [await metadata(uids(3)), await metadata(['1.2.3'], { '1.2.3': 'a' }), await send('application/dicom', relatedBody([testInstance(), testInstance()]))];
    expect(answers.map(({ status, json }) => [status, json.code])).toEqual(answers.map(() => [507, 'storage-full']));
  });

  it('says how many instances are stored when the rest meets an error', async () => {
    failAt((n) => n === 20, 'storage-unavailable');
    const { status, json } = await metadata(uids(30));
    expect([status, json.code, json.detail]).toEqual([503, 'storage-unavailable', '20 files of this request were stored before the error.']);
  });
});
