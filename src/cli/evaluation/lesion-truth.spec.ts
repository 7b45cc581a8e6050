import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/product.js';
import type { StudyInput } from '../../imaging/analyses/analysis.js';
import { tagOf } from '../../imaging/dicom/dictionary.js';
import { openLesionTruth } from './lesion-truth.js';

const HEAD = 'seriesuid,coordX,coordY,coordZ,diameter_mm\n';
const field = (keyword: string, ...Value: number[]): [string, { vr: string; Value: number[] }] => [tagOf(keyword), { vr: 'DS', Value }];
/** Ten slices of 20 × 20 pixels of 1 mm, 2 mm apart, from (0, 0, 0) on. */
const series = (seriesInstanceUid: string): StudyInput['series'][number] => ({
  seriesInstanceUid, modality: 'CT',
  instances: Array.from({ length: 10 }, (_, k) => ({
    sopInstanceUid: `${seriesInstanceUid}.${String(k)}`, sopClassUid: '1.2.840.10008.5.1.4.1.1.2', instanceNumber: k + 1, rows: 20, columns: 20,
    attributes: Object.fromEntries([field('Rows', 20), field('Columns', 20), field('PixelSpacing', 1, 1), field('ImageOrientationPatient', 1, 0, 0, 0, 1, 0), field('ImagePositionPatient', 0, 0, 2 * k), field('InstanceNumber', k + 1)]),
  })),
});

describe('what is known of nodules', () => {
  let folder: string;
  beforeEach(() => { folder = temporaryDirectory(); });
  afterEach(() => { rmSync(folder, { recursive: true, force: true }); });
  const put = (name: string, text: string): string => { writeFileSync(join(folder, name), text); return join(folder, name); };

  it('is found below a folder, and passes over other tables', async () => {
    mkdirSync(join(folder, 'a'));
    put('a/labels.csv', 'file,labels\n1.png,Mass\n');
    put('a/annotations.csv', `${HEAD}1.2,1,2,3,4\n`);
    const truth = await openLesionTruth(folder);
    expect(truth.kind).toBe('luna16');
    expect(truth.names(series('1.2'))).toBe(true);
    expect(truth.of(series('1.2'))).toEqual([{ centre: [1, 2, 3], diameterMm: 4, counts: true }]);
    expect(truth.names(series('1.3'))).toBe(false);
    expect(truth.of(series('1.3'))).toEqual([]);
  });

  it('is refused where its places are no millimetres of the scan', async () => {
    const truth = await openLesionTruth(put('a.csv', `${HEAD}1.2,10,10,19,4\n1.4,10,10,-40,4\n`));
    expect(truth.of(series('1.2'))).toHaveLength(1);
    expect(() => truth.of(series('1.4'))).toThrow('lies outside of series 1.4');
  });

  it('is refused where readings are of another scan', async () => {
    const point = '<edgeMap><xCoord>5</xCoord><yCoord>5</yCoord></edgeMap>';
    const truth = await openLesionTruth(put('a.xml', `<LidcReadMessage><ResponseHeader><SeriesInstanceUid>1.2</SeriesInstanceUid></ResponseHeader><readingSession><unblindedReadNodule><roi><imageSOP_UID>1.2.3</imageSOP_UID><inclusion>TRUE</inclusion>${point}</roi></unblindedReadNodule></readingSession></LidcReadMessage>`));
    expect(truth.of(series('1.2'))).toEqual([{ centre: [5, 5, 6], diameterMm: 3, counts: false }]);
    expect(() => truth.of(series('1.9'))).toThrow('is of series 1.9');
  });

  it.each([
    ['nothing', '', 'There are neither annotations of LUNA16'], ['an empty table', 'a.csv', 'a.csv does not have the columns seriesuid'],
    ['a path that is not there', 'absent', 'no readable file or folder'],
  ])('is asked for where there is %s', async (_, name, words) => {
    if (name === 'a.csv') put(name, '');
    await expect(openLesionTruth(join(folder, name))).rejects.toMatchObject({ code: 'dataset-invalid', message: expect.stringContaining(words) as string });
  });

  it('is refused where a reading is empty', async () => {
    await expect(openLesionTruth(put('a.xml', ''))).rejects.toMatchObject({ code: 'dataset-invalid' });
  });
});
