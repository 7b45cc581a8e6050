import { describe, expect, it } from 'vitest';
import type { Fate } from './fate.js';
import { stowResponse, studiesUrlOf } from './stow-response.js';

const URL = 'https://pacs.test/dicom-web/studies';
const stored = (instance: string, study = '1.2'): Fate => ({ status: 'stored', studyInstanceUid: study, seriesInstanceUid: `${study}.3`, sopInstanceUid: instance, sopClassUid: '1.2.840.10008.5.1.4.1.1.2' });

describe('stowResponse', () => {
  it('answers 200 with a reference and its URL for every instance, duplicates included', () => {
    const { status, body } = stowResponse([stored('1.2.3.4'), { ...stored('1.2.3.5'), status: 'duplicate' } as Fate], URL);
    expect(status).toBe(200);
    expect(body['00081190']).toEqual({ vr: 'UR', Value: [`${URL}/1.2`] });
    expect(body['00081198']).toBeUndefined();
    expect(body['00081199']?.Value).toHaveLength(2);
    expect(body['00081199']?.Value?.[0]).toEqual({
      '00081150': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
      '00081155': { vr: 'UI', Value: ['1.2.3.4'] },
      '00081190': { vr: 'UR', Value: [`${URL}/1.2/series/1.2.3/instances/1.2.3.4`] },
    });
  });

  it('names no single study when the instances belong to several', () => {
    expect(stowResponse([stored('1.2.3.4'), stored('1.5.3.4', '1.5')], URL).body['00081190']).toBeUndefined();
  });

  it('answers 202 when some failed and says why, as a number and in words', () => {
    const { status, body } = stowResponse([stored('1.2.3.4'), { status: 'refused', code: 'not-dicom' }], URL);
    expect(status).toBe(202);
    expect(body['00081198']).toEqual({ vr: 'SQ', Value: [{ '00081197': { vr: 'US', Value: [0xc000] }, '00741048': { vr: 'SQ', Value: [{ '00000902': { vr: 'LO', Value: ['not-dicom'] } }] } }] });
  });

  it.each([
    ['wrong-study', 0xa900], ['instance-conflict', 0x0111], ['unsupported-transfer-syntax', 0xc122], ['truncated-file', 0xc000], ['unprocessable', 0x0110],
  ] as const)('answers 409 when all failed; %s is %i', (code, reason) => {
    const { status, body } = stowResponse([{ ...stored('1.2.3.4'), status: 'refused', code }], URL);
    expect(status).toBe(409);
    expect(body['00081199']).toBeUndefined();
    expect(body['00081198']?.Value?.[0]).toMatchObject({ '00081155': { Value: ['1.2.3.4'] }, '00081197': { Value: [reason] } });
  });
});

describe('studiesUrlOf', () => {
  const of = (host: string, publicUrl?: string, protocol = 'http'): string => studiesUrlOf({ publicUrl, protocol, host });

  it('takes the configured address, or else the host of the request', () => {
    expect(of('evil.test', 'https://pacs.test')).toBe('https://pacs.test/dicom-web/studies');
    expect(of('pacs.test:8080')).toBe('http://pacs.test:8080/dicom-web/studies');
    expect(of('pacs_1.test', undefined, 'https')).toBe('https://pacs_1.test/dicom-web/studies');
    expect(of('[::1]:8080')).toBe('http://[::1]:8080/dicom-web/studies');
  });

  it.each(['', 'a b', 'user@evil.test', 'pacs.test/x?', 'pacs.test#', '"><script>', 'a\\b', 'pacs.test:x', 'pacs.test:', 'x'.repeat(254)])('mints no address out of the host %j', (host) => {
    expect(of(host)).toBe('/dicom-web/studies');
  });

  it('mints no scheme out of a header either', () => {
    expect(of('pacs.test', undefined, 'javascript')).toBe('http://pacs.test/dicom-web/studies');
  });
});
