import { describe, expect, it } from 'vitest';
import { localPath } from './local-path.js';

describe('A path to go on to', () => {
  it.each(['/docs', '/account', '/viewer?study=1.2.3#top', '/a/b%20c'])('may be %s', (path) => {
    expect(localPath(path)).toBe(path);
  });

  it.each([undefined, '', 'docs', 'https://evil.example', '//evil.example', '/\\evil.example', '\\\\evil.example', '/\t/evil.example', '/x\r\nSet-Cookie: x', 'javascript:alert(1)', '/docs\u0000', ' /docs', '/session/end', '/login', '/./\\evil.example', `/${'x'.repeat(3000)}`])('is / instead of %j', (path) => {
    expect(localPath(path)).toBe('/');
  });
});
