import { describe, expect, it } from 'vitest';
import { dicomFile } from '../../../test/support/dicom-builder.js';
import { personName, sequence } from './attributes.js';
import { characterSetOf, decodeText } from './charset.js';
import { parseInstanceBytes } from './header.js';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('decodeText', () => {
  // The examples of PS3.5 Annexes H, I, J and K, byte by byte.
  const examples: [string, string[], string, string][] = [
    ['Japanese, H.3.1', ['', 'ISO 2022 IR 87'], '59616d6164615e5461726f753d1b2442 3b33 4544 1b28425e 1b2442 4240 4f3a 1b2842', 'Yamada^Tarou=山田^太郎'],
    ['Japanese half width, H.3.2', ['ISO 2022 IR 13', 'ISO 2022 IR 87'], 'd4cfc0de5ec0dbb33d1b2442 3b33 4544 1b284a5e1b2442 4240 4f3a 1b284a', 'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎'],
    ['Korean, I.2', ['', 'ISO 2022 IR 149'], '486f6e675e47696c646f6e673d1b242943fbf35e1b242943d1ceD4d7', 'Hong^Gildong=洪^吉洞'],
    ['Chinese UTF-8, J.1', ['ISO_IR 192'], '57616e675e5869616f446f6e673de78e8b5ee5b08fe69db1', 'Wang^XiaoDong=王^小東'],
    ['Chinese GB18030, J.3', ['GB18030'], '57616e675e5869616f446f6e673dcdf55ed0a1b6ab', 'Wang^XiaoDong=王^小东'],
    ['Chinese GBK', ['GBK'], 'cdf55ed0a1b6ab', '王^小东'],
    ['Chinese ISO 2022, K.2', ['', 'ISO 2022 IR 58'], '5a68616e675e5869616f446f6e673d1b242941d5c55e1b242941d0a1b6ab', 'Zhang^XiaoDong=张^小东'],
    ['JIS X 0212', ['', 'ISO 2022 IR 159'], '1b2428443021 1b2842', '丂'],
    ['Latin-1 then Greek', ['ISO 2022 IR 100', 'ISO 2022 IR 126'], 'e4 1b2d46 e1', 'äα'],
    ['Thai', ['ISO_IR 166'], 'a1d2', 'กา'],
    ['Hebrew', ['ISO_IR 138'], 'f9ece5ed', 'שלום'],
    ['Latin-9', ['ISO_IR 203'], 'a4', '€'],
  ];
  for (const [name, set, hex, expected] of examples) {
    it(`reads ${name}`, () => {
      expect(decodeText(bytes(hex), characterSetOf(set), true)).toBe(expected);
    });
  }

  it('reads misspelt terms for what they mean', () => {
    for (const term of ['ISO-IR 100', 'ISO IR 100', 'iso_ir_100', 'ISO 2022 IR 100', ' ISO_IR 100']) expect(decodeText(bytes('e9'), characterSetOf([term]))).toBe('é');
  });

  it('recognises UTF-8 where nothing is declared and falls back to Latin-1', () => {
    expect(decodeText(bytes('e78e8b'), characterSetOf([]))).toBe('王');
    expect(decodeText(bytes('e9'), characterSetOf([]))).toBe('é');
  });

  it('never throws on bytes that mean nothing', () => {
    for (const set of [[], ['ISO_IR 192'], ['', 'ISO 2022 IR 87'], ['GB18030'], ['nonsense']]) {
      for (let first = 0; first < 256; first++) expect(typeof decodeText(Uint8Array.of(0x1b, first, 0xff, 0x24, first), characterSetOf(set), true)).toBe('string');
    }
  });

  it('follows the character set of an item and returns to that of the data set', () => {
    const file = dicomFile([
      [0x00080005, 'CS', 'ISO_IR 100'],
      [0x00081140, 'SQ', [[[0x00080005, 'CS', 'ISO_IR 192'], [0x00100010, 'PN', bytes('e78e8b20')]]]],
      [0x00100010, 'PN', bytes('e920')],
    ]);
    const { attributes } = parseInstanceBytes(file);
    expect(personName(sequence(attributes, '00081140')[0] ?? {}, 'PatientName')).toEqual({ Alphabetic: '王' });
    expect(personName(attributes, 'PatientName')).toEqual({ Alphabetic: 'é' });
  });
});
