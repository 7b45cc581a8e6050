import { describe, expect, it } from 'vitest';
import { html, json } from './html.js';

describe('HTML', () => {
  it('keeps text text, in elements and attributes', () => {
    const evil = `"><script>alert('1')</script>&amp;`;
    expect(html`<a title="${evil}">${evil}</a>`.text).toBe('<a title="&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;">&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;</a>');
  });

  it('nests', () => {
    expect(html`<ul>${[1, 2].map((n) => html`<li>${n}</li>`)}</ul>${html`<b>x</b>`}`.text).toBe('<ul><li>1</li><li>2</li></ul><b>x</b>');
  });

  it('carries JSON that ends no element', () => {
    const { text } = json({ a: '</script><!--\u2028' });
    expect(text).not.toContain('<');
    expect(JSON.parse(text)).toEqual({ a: '</script><!--\u2028' });
  });
});
