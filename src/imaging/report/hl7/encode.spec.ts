import { Message } from 'node-hl7-client';
import { describe, expect, it } from 'vitest';
import { decoded, encoded } from './character-set.js';
import { escaped, headerSegment, numeric, segment, timestamp } from './encode.js';

describe('values', () => {
  it.each([
    ['a|b', 'a\\F\\b'], ['a^b&c~d', 'a\\S\\b\\T\\c\\R\\d'], ['C:\\x', 'C:\\E\\x'], ['\\F\\', '\\E\\F\\E\\'],
    ['one\r\ntwo', 'one\\X0D\\\\X0A\\two'], ['a\u000bb\u001cc\u0000', 'a\\X0B\\b\\X1C\\c\\X00\\'], ['a\u2028b\u0085c', 'a b c'], ['\ud800x', '\ufffdx'], ['""', '\\X22\\\\X22\\'], ['say "" here', 'say "" here'],
    ['王小东 ≥ 5 mm', '王小东 ≥ 5 mm'],
  ])('%j becomes %j', (value, expected) => { expect(escaped(value)).toBe(expected); });

  it.each(['|^~\\&', '\\X0D\\', 'x\rPID|1||other\r', '\u000b\u001c\r', '^^^^&&&~~~', '\\', '""', '𠮷|王'])('%j are read as they were by another implementation', (value) => {
    const text = `${headerSegment({ 3: 'A', 9: ['ORU', 'R01'], 10: '1', 12: '2.5.1' })}\r${segment('OBX', { 1: '1', 2: 'ST', 5: [value, 'second', ['sub', value]] })}\r`;
    expect(text.split('\r')).toHaveLength(3);
    const message = new Message({ text: text.trim() });
    expect([message.get('OBX.5.1').toString(), message.get('OBX.5.2').toString(), message.get('OBX.5.3.2').toString()]).toEqual([value, 'second', value]);
  });

  it('leave out what is empty at the end, and keep places', () => {
    expect(segment('OBR', { 1: '1', 4: ['a', '', ''], 18: '', 25: undefined })).toBe('OBR|1|||a');
    expect(segment('PID', { 5: { repeated: [['A', 'B'], ['王', '小东']] } })).toBe('PID|||||A^B~王^小东');
    expect(headerSegment({ 3: 'A', 12: '2.5.1' })).toBe('MSH|^~\\&|A|||||||||2.5.1');
    expect(segment('OBR', { 32: [['id', 'Dr & Mr']] }).endsWith('|id&Dr \\T\\ Mr')).toBe(true);
  });

  it.each([[8.4, '8.4'], [0, '0'], [-0, '0'], [1e-7, '0.0000001'], [1e21, '1000000000000000000000'], [0.1 + 0.2, '0.3'], [-12, '-12'], [Number.NaN, undefined], [Infinity, undefined]])('the number %d is %j', (value, text) => {
    expect(numeric(value)).toBe(text);
  });

  it('tell times in UTC', () => { expect(timestamp(new Date('2026-11-29T07:08:09.999Z'))).toBe('20261129070809+0000'); });
});

describe('GB 18030', () => {
  it.each([['A|', '417c'], ['王小东', 'cdf5d0a1b6ab'], ['€', 'a2e3'], ['𠮷', '9534b235'], ['\uffff', '8431a439'], ['é', 'a8a6'], ['\u3000', 'a1a1'], ['≥', 'a1dd'], ['（）', 'a3a8a3a9'], ['\u{10ffff}', 'e3329a35']])('has %j as %s', (text, hex) => {
    const bytes = encoded(text, 'GB18030');
    expect(Buffer.from(bytes).toString('hex')).toBe(hex);
    expect(decoded(bytes, 'GB18030')).toBe(text);
  });

  it('comes back as it was, whatever the text', () => {
    const text = Array.from({ length: 0x3000 }, (_, n) => String.fromCodePoint(n < 0x2800 ? n * 5 + 0x20 : 0x10000 + n * 37)).join('').replaceAll(/[\ud800-\udfff\ue000-\uf8ff]/gu, '');
    expect(decoded(encoded(text, 'GB18030'), 'GB18030')).toBe(text);
  });

  it('never has a byte that frames a message, nor one that is no byte of a code', () => {
    const text = Array.from({ length: 0xd780 }, (_, n) => String.fromCharCode(n + 0x80)).join('');
    expect(encoded(text, 'GB18030').some((byte) => byte < 0x30)).toBe(false);
  });

});
