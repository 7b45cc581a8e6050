import { expect, it } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { storableJson } from './storable-json.js';

it('leaves a clean data set as it is', () => {
  const attributes = { '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Wang^Xiao', Ideographic: '王^小' }] } };
  expect(storableJson(attributes)).toBe(JSON.stringify(attributes));
});

it('takes out what jsonb refuses', () => {
  const json = storableJson({ '00081030': { vr: 'LO', Value: ['a\0b', 'half \ud83d pair'] } });
  expect(JSON.parse(json)).toEqual({ '00081030': { vr: 'LO', Value: ['ab', 'half \ufffd pair'] } });
});

it('refuses what is too long for a row, before the database does', () => {
  const of = (bytes: number) => (): string => storableJson({ '00081030': { vr: 'LO', Value: ['a'.repeat(bytes)] } });
  expect(of(31 << 20)).not.toThrow();
  expect(of(33 << 20)).toThrow(AppError);
  expect(() => storableJson({ '00081030': { vr: 'LO', Value: ['王'.repeat(11 << 20)] } })).toThrow(expect.objectContaining({ code: 'invalid-dicom' }));
});
