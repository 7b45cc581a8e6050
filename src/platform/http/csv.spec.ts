import { describe, expect, it } from 'vitest';
import { csvLine } from './csv.js';

describe('csvLine', () => {
  it('quotes what would end a cell or a line', () => {
    expect(csvLine(['a,b', 'say "no"', 'two\nlines', 'plain', '', null, undefined])).toBe('"a,b","say ""no""","two\nlines",plain,,,\r\n');
  });

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '＝1', '＠x'])('takes the formula out of %j', (text) => {
    expect(csvLine([text]).replaceAll('"', '').startsWith(`'${text.charAt(0)}`)).toBe(true);
  });

  it('leaves numbers alone and leaves out what is none', () => {
    expect(csvLine([-12.5, 0, Number.NaN, 1e21])).toBe('-12.5,0,,1e+21\r\n');
  });
});
