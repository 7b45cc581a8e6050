import { describe, expect, it } from 'vitest';
import { contentRange, requestedStretch } from './byte-range.js';

const stretch = (header: string | undefined, size = 100, ifRange?: string): unknown => requestedStretch(header, size, { ifRange, etag: '"a"' });

describe('Range', () => {
  it('names a stretch by its first and last byte', () => {
    expect(stretch('bytes=0-9')).toEqual({ offset: 0, length: 10 });
    expect(stretch('bytes=90-')).toEqual({ offset: 90, length: 10 });
    expect(stretch('bytes=90-500')).toEqual({ offset: 90, length: 10 });
    expect(stretch('bytes=-7')).toEqual({ offset: 93, length: 7 });
    expect(stretch('bytes=-700')).toEqual({ offset: 0, length: 100 });
    expect(contentRange({ offset: 93, length: 7 }, 100)).toBe('bytes 93-99/100');
  });

  it('is ignored where it asks for something else', () => {
    for (const header of [undefined, 'items=0-1', 'bytes=0-1,5-6', 'bytes=9-3', 'bytes=-', 'bytes=a-b']) expect(stretch(header)).toBeUndefined();
  });

  it('cannot be satisfied behind the end', () => {
    for (const header of ['bytes=100-', 'bytes=100-200', 'bytes=-0']) expect(() => stretch(header)).toThrow(expect.objectContaining({ code: 'range-not-satisfiable', sizeBytes: 100 }));
    expect(() => stretch('bytes=0-', 0)).toThrow(expect.objectContaining({ code: 'range-not-satisfiable' }));
  });

  it('holds only for the version that If-Range names', () => {
    expect(stretch('bytes=0-9', 100, '"a"')).toEqual({ offset: 0, length: 10 });
    expect(stretch('bytes=0-9', 100, '"b"')).toBeUndefined();
    expect(requestedStretch('bytes=0-9', 100, { ifRange: 'W/"a"', etag: 'W/"a"' })).toBeUndefined();
  });
});
