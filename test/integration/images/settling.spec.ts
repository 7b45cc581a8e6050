import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { StudiesStore } from '../../../src/modules/images/studies.store.js';
import { dicomFile } from '../../support/dicom-builder.js';
import { eventually } from '../../support/product.js';
import { openArchiveHouse, type ArchiveHouse } from './archive-house.js';
import { relatedBody, type StudyView } from './instances.js';

let house: ArchiveHouse;

beforeAll(async () => { house = await openArchiveHouse(); });
afterAll(async () => { await house.close(); });

/** Stores a study of one series, whose instances announce these numbers of instances. */
async function store(announced: readonly number[]): Promise<string> {
  const [study, series] = [newDicomUid(), newDicomUid()];
  for (const inStudy of announced) {
    const bytes = dicomFile([[0x00080018, 'UI', newDicomUid()], [0x0020000d, 'UI', study], [0x0020000e, 'UI', series], [0x00201208, 'IS', String(inStudy)]]);
    const response = await house.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=boundary-7' }, body: new Uint8Array(relatedBody([{ bytes }])) });
    expect(response.status).toBe(200);
  }
  return study;
}

const stateOf = async (study: string): Promise<string> => (await house.json<StudyView>(`/api/v1/studies/${study}`)).state;

describe('a study that is whole', () => {
  it('is completed behind many that only seem so', async () => {
    const seeming: string[] = [];
    // One instance announces as many as there are, the other one more; which of them is asked is up to the database.
    for (let n = 0; n < 50; n++) seeming.push(await store([2, 3]));
    // They stay the newest, all of one time.
    await house.owner.study.updateMany({ where: { studyInstanceUid: { in: seeming } }, data: { lastInstanceAt: new Date(Date.now() + 3_600_000) } });
    expect((await house.app.get(StudiesStore).seeminglyWhole(100)).length).toBeGreaterThan(40);
    const whole = await store([1]);
    await eventually('the whole one to be complete', async () => (await stateOf(whole)) === 'complete', 10_000);
    for (const study of seeming.slice(0, 3)) expect(await stateOf(study)).toBe('receiving');
  });
});
