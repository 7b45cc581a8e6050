import { describe, expect, it } from 'vitest';
import { parseImageFields, PICTURE_MODALITIES } from './image-fields.js';

const parse = (fields: Record<string, string>): unknown => parseImageFields(new Map(Object.entries(fields).map(([name, value]) => [name, [value]])));

describe('parseImageFields', () => {
  it('takes what a form sends and leaves out what nobody filled in', () => {
    expect(parse({ patientId: ' P-7 ', patientAge: '50', patientSex: 'f', modality: 'cr', bodyPart: '', viewPosition: 'PA' }))
      .toEqual({ patientId: 'P-7', patientAge: 50, patientSex: 'F', modality: 'CR', viewPosition: 'PA' });
    expect(parse({ patientAge: '0.25' })).toEqual({ patientAge: 0.25 });
  });

  it.each([
    { patientAge: '151' }, { patientAge: '-1' }, { patientAge: 'fifty' }, { patientAge: '1e2' }, { patientSex: 'X' }, { modality: 'C\\R' }, { modality: 'CT' }, { modality: 'XRAY' },
    { patientId: 'a\\b' }, { patientId: 'a\u0007' }, { patientId: 'x'.repeat(65) }, { bodyPart: 'x'.repeat(17) }, { viewPosition: '正位' },
  ])('refuses %j and names the field, not the value', (fields) => {
    const [name = '', value = ''] = Object.entries(fields)[0] ?? [];
    try {
      parse(fields);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid-image-fields', errors: [{ pointer: `/${name}` }] });
      expect((error as Error).message).not.toContain(value);
    }
  });

  it('takes the modalities that a picture can have, in lower case too', () => {
    for (const modality of PICTURE_MODALITIES) expect(parse({ modality: ` ${modality.toLowerCase()} ` })).toEqual({ modality });
    expect(parse({ modality: ' ' })).toEqual({});
  });

  it('refuses a field that is given twice with different values, and takes the same value again', () => {
    expect(() => parseImageFields(new Map([['patientAge', ['4', '40']], ['modality', ['DX']]])))
      .toThrow(expect.objectContaining({ code: 'invalid-image-fields', detail: 'patientAge must be given once', errors: [{ pointer: '/patientAge', detail: 'must be given once' }] }));
    expect(parseImageFields(new Map([['patientAge', ['4', '4']]]))).toEqual({ patientAge: 4 });
  });
});
