import { describe, expect, it } from 'vitest';
import { lesionsOf, readLidc, type SlicePlace } from './lidc-truth.js';
import { isLuna16, readLuna16 } from './luna16-truth.js';

/** Slices of 1 mm pixels, 2 mm apart, by the names 0, 1, 2 … */
const PLACES = new Map(Array.from({ length: 40 }, (_, k): [string, SlicePlace] => [String(k), { toLps: (x, y) => [x, y, 2 * k], pixelMm2: 1 }]));

const square = (cx: number, cy: number, side: number): string => [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x = 0, y = 0]) => `<edgeMap><xCoord>${String(cx + x * side / 2)}</xCoord><yCoord>${String(cy + y * side / 2)}</yCoord></edgeMap>`).join('');
const roi = (slice: number, edges: string, inclusion = 'TRUE'): string => `<roi><imageZposition>0</imageZposition><imageSOP_UID>${String(slice)}</imageSOP_UID><inclusion>${inclusion}</inclusion>${edges}</roi>`;
/** A cube of 10 × 10 × 10 mm. */
const cube = (cx: number, cy: number, from: number): string => `<unblindedReadNodule><noduleID>N</noduleID><characteristics><subtlety>5</subtlety></characteristics>${[0, 1, 2, 3, 4].map((k) => roi(from + k, square(cx, cy, 10))).join('')}</unblindedReadNodule>`;
const small = (x: number): string => `<unblindedReadNodule><noduleID>S</noduleID>${roi(3, `<edgeMap><xCoord>${String(x)}</xCoord><yCoord>5</yCoord></edgeMap>`)}</unblindedReadNodule>`;
const reading = (...sessions: string[]): string => `<?xml version="1.0"?><LidcReadMessage xmlns="http://www.nih.gov"><ResponseHeader><SeriesInstanceUid>1.2.3</SeriesInstanceUid></ResponseHeader>${sessions.map((session) => `<readingSession>${session}</readingSession>`).join('')}</LidcReadMessage>`;
const lesions = (...sessions: string[]) => lesionsOf(readLidc(reading(...sessions), 'x.xml'), PLACES, 2);

describe('readings of LIDC-IDRI', () => {
  it('are one lesion where radiologists mean the same, with the mean of its places and its size as a ball', () => {
    const [only, ...others] = lesions(cube(50, 60, 10), cube(52, 60, 10), cube(50, 62, 10), cube(52, 62, 11));
    expect(others).toEqual([]);
    expect(only?.centre.map((value) => Math.round(value * 1e6) / 1e6)).toEqual([51, 61, 24.5]);
    expect(only?.diameterMm).toBeCloseTo(Math.cbrt(6 * 1000 / Math.PI), 6);
    expect(only?.counts).toBe(true);
  });

  it('count from three of four on', () => {
    expect(lesions(cube(50, 60, 10), cube(50, 60, 10), cube(50, 60, 10), '').map(({ counts }) => counts)).toEqual([true]);
    expect(lesions(cube(50, 60, 10), cube(50, 60, 10), '', '').map(({ counts }) => counts)).toEqual([false]);
    // Not what one radiologist has outlined three times.
    expect(lesions(`${cube(50, 60, 10)}${cube(50, 60, 10)}${cube(51, 60, 10)}`, '', '', '').map(({ counts }) => counts)).toEqual([false]);
  });

  it('keep apart what lies apart, and do not count what is small or no nodule', () => {
    const found = lesions(`${cube(50, 60, 10)}${cube(80, 60, 10)}${small(7)}`, '<nonNodule><nonNoduleID>X</nonNoduleID><imageSOP_UID>4</imageSOP_UID><locus><xCoord>9</xCoord><yCoord>8</yCoord></locus></nonNodule>', '', '');
    expect(found.map(({ centre, diameterMm, counts }) => [centre.map(Math.round), Math.round(diameterMm), counts])).toEqual([[[50, 60, 24], 12, false], [[80, 60, 24], 12, false], [[7, 5, 6], 3, false], [[9, 8, 8], 3, false]]);
  });

  it('take holes out', () => {
    const hollow = `<unblindedReadNodule><characteristics/>${[0, 1, 2, 3, 4].map((k) => roi(k, square(50, 60, 10)) + roi(k, square(50, 60, 6), 'FALSE')).join('')}</unblindedReadNodule>`;
    expect(lesions(hollow)[0]?.diameterMm).toBeCloseTo(Math.cbrt(6 * (100 - 36) * 10 / Math.PI), 6);
  });

  it.each([['', 'no reading'], ['<a/>', 'no reading'], ['not xml', 'no reading'], [reading(), 'no reading']])('are refused where they are none: %s', (xml, words) => {
    expect(() => readLidc(xml, 'x.xml')).toThrow(words);
  });

  it('are refused where they name a slice that is not there', () => {
    expect(() => lesions(cube(1, 1, 38))).toThrow('a slice that is not there');
  });
});

describe('annotations of LUNA16', () => {
  const HEAD = 'seriesuid,coordX,coordY,coordZ,diameter_mm';

  it('are lesions by series', () => {
    expect(isLuna16(`${HEAD}\r\n`)).toBe(true);
    expect(isLuna16('file,labels\n')).toBe(false);
    expect(readLuna16(`${HEAD}\n1.2,1.5,-2,3,6\n1.2,9,9,9,4.5\n1.3,0,0,0,3\n`, 'a.csv')).toEqual(new Map([
      ['1.2', [{ centre: [1.5, -2, 3], diameterMm: 6, counts: true }, { centre: [9, 9, 9], diameterMm: 4.5, counts: true }]],
      ['1.3', [{ centre: [0, 0, 0], diameterMm: 3, counts: true }]],
    ]));
  });

  it.each(['1.2,a,2,3,6', '1.2,1,2,3,', ',1,2,3,4', '1.2,1,2,3,0'])('are refused by their row: %s', (row) => {
    expect(() => readLuna16(`${HEAD}\n1.1,1,2,3,4\n${row}\n`, 'a.csv')).toThrow('Row 3 of a.csv');
  });
});
