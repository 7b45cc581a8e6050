import { describe, expect, it } from 'vitest';
import { capabilitiesJson, capabilitiesWadl } from './capabilities.js';

describe('the capabilities', () => {
  const wadl = capabilitiesWadl('https://host/dicom-web?a&b');

  it('are a WADL document whose elements are all closed', () => {
    const open: string[] = [];
    for (const [, slash, name = '', empty] of wadl.matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
      if (slash === '/') expect(open.pop()).toBe(name);
      else if (empty !== '/') open.push(name);
    }
    expect(open).toEqual([]);
    expect(wadl).toContain('<application xmlns="http://wadl.dev.java.net/2009/02"');
    expect(wadl).toContain('<resources base="https://host/dicom-web?a&amp;b/">');
    expect(wadl.replace(/<[^<>]*>/g, '').trim()).toBe('');
  });

  it('name each transaction once', () => {
    const ids = [...wadl.matchAll(/<method name="\w+" id="(\w+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(['SearchForStudies', 'SearchForStudySeries', 'SearchForStudyInstances', 'SearchForStudySeriesInstances', 'SearchForSeries', 'SearchForInstances', 'StoreInstances', 'RetrieveStudy', 'RetrieveFrames', 'RetrieveRenderedInstance']));
    expect(capabilitiesJson('https://host/dicom-web').application.resources.resource.map(({ path }) => path)).toEqual(['studies', 'series', 'instances']);
  });
});
