import { describe, expect, it } from 'vitest';
import { searchMediaType } from './accept.js';

describe('a search', () => {
  it.each([
    [undefined, 'application/dicom+json'], ['', 'application/dicom+json'], ['*/*', 'application/dicom+json'], ['application/*', 'application/dicom+json'], ['application/dicom+json', 'application/dicom+json'],
    ['application/json', 'application/json'], ['application/json, application/dicom+json', 'application/dicom+json'], ['application/dicom+json;q=0.1, application/json', 'application/json'],
    ['multipart/related; type="application/dicom+xml"', undefined], ['multipart/related; type="application/dicom+xml", application/dicom+json', 'application/dicom+json'], ['text/html', undefined],
    ['application/dicom+json;q=0, application/json;q=0', undefined], ['text/html, */*;q=0.1', 'application/dicom+json'], ['application/dicom+json; charset=utf-8', 'application/dicom+json'],
  ])('that accepts %s is answered in %s', (accept, type) => { expect(searchMediaType(accept)).toBe(type); });
});
