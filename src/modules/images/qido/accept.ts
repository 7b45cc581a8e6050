const OFFERED = ['application/dicom+json', 'application/json'] as const;

/**
 * The media type to answer a search in, which is DICOM JSON under either of its names.
 *
 * @param accept  of the header or the query parameter; nothing accepts everything
 * @returns undefined when neither is acceptable
 * @see RFC 9110 §12.5.1, PS3.18 §8.7.5
 */
export function searchMediaType(accept: string | undefined): (typeof OFFERED)[number] | undefined {
  const ranges = (accept ?? '').split(',').map((range) => range.trim().toLowerCase()).filter((range) => range !== '').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    return { type, quality: quality === undefined ? 1 : Number(quality.slice(2)) };
  });
  if (ranges.length === 0) return OFFERED[0];
  const wanted = OFFERED.map((type) => {
    // The most specific range decides.
    const range = [type, 'application/*', '*/*'].map((pattern) => ranges.find((one) => one.type === pattern)).find((one) => one !== undefined);
    return { type, quality: range !== undefined && range.quality > 0 ? range.quality : 0 };
  }).filter(({ quality }) => quality > 0);
  return wanted.sort((a, b) => b.quality - a.quality)[0]?.type;
}
