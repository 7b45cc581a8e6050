/** One thing that a client accepts: a media type or a range of them, as one part of the body or as many. @see PS3.18 §8.7.5 */
export interface MediaRange {
  /** `multipart`: multipart/related, whose parts have `type`; `either` only for ranges that cover all types. */
  readonly packaging: 'single' | 'multipart' | 'either';
  /** `application/dicom`, `image/*`, or everything; lower case. */
  readonly type: string;
  /** A UID or `*`; undefined when the client leaves it to the default. */
  readonly transferSyntax: string | undefined;
}

/** What a request accepts, best first; the ranges of one rank are as good as each other, and stay as they came. */
export type Acceptance = readonly (readonly MediaRange[])[];

/**
 * Reads the `accept` query parameter, which goes first, and the Accept header. Without both, everything is accepted; what
 * cannot be read accepts nothing.
 *
 * @see PS3.18 §8.7.8.1, RFC 9110 §12.5.1
 */
export function acceptanceOf(header: string | undefined, query?: string): Acceptance {
  if (header === undefined && query === undefined) return ranksOf('*/*');
  return [...ranksOf(query ?? ''), ...ranksOf(header ?? '')];
}

/** Whether a range covers a media type. */
export function covers(range: MediaRange, mediaType: string): boolean {
  if (range.type === '*/*' || range.type === mediaType) return true;
  return range.type.endsWith('/*') && mediaType.startsWith(range.type.slice(0, -1));
}

/** Whether a range lets its payload come in this packaging. */
export function allows(range: MediaRange, packaging: 'single' | 'multipart'): boolean {
  return range.packaging === 'either' || range.packaging === packaging;
}

function ranksOf(text: string): MediaRange[][] {
  const ranges = splitOutsideQuotes(text, ',').map(rangeOf).filter((range) => range !== undefined);
  const qualities = [...new Set(ranges.map(({ quality }) => quality))].filter((quality) => quality > 0).sort((a, b) => b - a);
  return qualities.map((quality) => ranges.filter((range) => range.quality === quality).map(({ range }) => range));
}

const TYPE = /^(\*\/\*|[\w!#$&^.+-]+\/(?:\*|[\w!#$&^.+-]+))$/;

function rangeOf(text: string): { range: MediaRange; quality: number } | undefined {
  const [name = '', ...parameterTexts] = splitOutsideQuotes(text, ';').map((part) => part.trim());
  const essence = name.toLowerCase();
  if (!TYPE.test(essence)) return undefined;
  const parameters = new Map(parameterTexts.map(parameterOf));
  const quality = Number(parameters.get('q') ?? 1);
  if (!(quality >= 0 && quality <= 1)) return undefined;
  const transferSyntax = parameters.get('transfer-syntax');
  if (essence === '*/*') return { range: { packaging: 'either', type: '*/*', transferSyntax }, quality };
  if (essence !== 'multipart/related' && essence !== 'multipart/*') return { range: { packaging: 'single', type: essence, transferSyntax }, quality };
  const type = (parameters.get('type') ?? '*/*').toLowerCase();
  return TYPE.test(type) ? { range: { packaging: 'multipart', type, transferSyntax }, quality } : undefined;
}

function parameterOf(text: string): [name: string, value: string] {
  const equals = text.indexOf('=');
  if (equals < 0) return [text.toLowerCase(), ''];
  const value = text.slice(equals + 1).trim();
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value)?.[1];
  return [text.slice(0, equals).trim().toLowerCase(), quoted === undefined ? value : quoted.replace(/\\(.)/g, '$1')];
}

function splitOutsideQuotes(text: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  let quoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (quoted && character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === separator) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
