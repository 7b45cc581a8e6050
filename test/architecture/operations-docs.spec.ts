import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/product.js';

const PAGES = [...readdirSync(join(ROOT, 'docs/operations')).map((name) => `docs/operations/${name}`), 'README.md', 'docs/models.md', 'helm/healthvision/README.md'];

const textOf = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** What GitHub makes of a heading. */
const anchorsOf = (page: string): string[] => [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.trim().toLowerCase().replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-'));

/** Methods by templates of paths, parameters as `*`. */
const api = new Map(Object.entries((JSON.parse(textOf('docs/api/openapi.json')) as { paths: Record<string, object> }).paths).map(([path, methods]) => [path.replaceAll(/\{\w+\}/g, '*'), Object.keys(methods)]));

/** Methods of a path as a page writes it: with `<id>`, `{id}` or a value in place of a parameter. */
function methodsOf(written: string): string[] {
  const path = written.replace(/\?.*$/, '').replaceAll(/<[^>]*>|\{\w+\}|\$\w+/g, '*').replace(/[/.]+$/, '');
  return api.get(path) ?? [...api].filter(([template]) => new RegExp(`^${template.split('*').map((part) => part.replaceAll('.', '\\.')).join('[^/]+')}$`).test(path)).flatMap(([, methods]) => methods);
}

const commandLine = readdirSync(join(ROOT, 'src/cli'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => textOf(join('src/cli', name))).join('\n');
const commands = new Set([...commandLine.matchAll(/(?:new Command|\.command)\('([a-z-]+)/g)].map(([, name = '']) => name));
const options = new Set(['--help', '--version', ...[...commandLine.matchAll(/'(?:-\w, )?(--[a-z-]+)/g)].map(([, name = '']) => name)]);

it('compares pages with what there is', () => {
  expect(methodsOf('/api/v1/models/<name>/rollback')).toEqual(['post']);
  expect(methodsOf('/api/v1/users/<old id>')).toContain('delete');
  expect(methodsOf('/api/v1/modells')).toEqual([]);
  expect([...commands]).toEqual(expect.arrayContaining(['backup', 'selftest', 'models']));
  expect([...options]).toEqual(expect.arrayContaining(['--from', '--webhook-listen', '--identity']));
  expect(anchorsOf('docs/operations/helm.md')).toContain('on-prem-from-nothing');
});

describe.each(PAGES)('%s', (page) => {
  const text = textOf(page);

  it('leads to pages and headings that there are', () => {
    const links = [...text.matchAll(/\]\(([^)#\s]*)(?:#([^)\s]*))?\)/g)].filter(([, to = '']) => !/^\w+:/.test(to));
    const broken = links.filter(([, to = '', anchor]) => {
      const target = to === '' ? page : join(dirname(page), to);
      return !existsSync(join(ROOT, target)) || (anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(anchor));
    });
    expect(broken.map(([link]) => link)).toEqual([]);
  });

  it('names calls that the API has', () => {
    const called = [...text.matchAll(/\/(?:api\/v1|fhir|oauth2|dicom-web)\/[\w/<>{}$.-]+(?: id>[/a-z-]*)?/g)].map(([path]) => path);
    expect(called.filter((path) => methodsOf(path).length === 0)).toEqual([]);
    const withMethod = [...text.matchAll(/`(GET|POST|PUT|PATCH|DELETE) (\/[a-z][^` ?]*)/g)];
    expect(withMethod.filter(([, method = '', path = '']) => ![path, `/api/v1${path}`].some((one) => methodsOf(one).includes(method.toLowerCase()))).map(([call]) => call)).toEqual([]);
  });

  it('names commands and options that there are', () => {
    const lines = [...text.matchAll(/(?:^|[`\s])(?<!--namespace )healthvision ([a-z]+)((?: [^`\n|;&#)]*)?)/gm)].filter(([, name = '']) => commands.has(name));
    const unknown = lines.flatMap(([line, , rest = '']) => [...rest.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].filter(([option]) => !options.has(option)).map(([option]) => `${option}: ${line.trim()}`));
    expect(unknown).toEqual([]);
  });
});
