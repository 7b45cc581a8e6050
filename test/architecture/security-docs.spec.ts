import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/product.js';

const FOLDER = join(ROOT, 'docs/security');
/** What ASVS 5.0.0 has of each level. */
const REQUIREMENTS = { 1: 70, 2: 183 };
const STATES = ['met', 'met by deployment', 'not applicable', 'not met'];

interface Page { file: string; text: string }

function pages(): Page[] {
  return readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => ({ file: join(FOLDER, name), text: readFileSync(join(FOLDER, name), 'utf8') }));
}

/** Everything that a page says of the repository: paths in back-ticks, and the targets of its links without their anchors. */
function pathsOf({ file, text }: Page): string[] {
  const named = [...text.matchAll(/`((?:src|test|docs|bench|prisma)\/[^`\s]+)`/g)].map(([, path = '']) => join(ROOT, path));
  return [...named, ...linksOf(text).filter(({ target }) => target !== '').map(({ target }) => join(dirname(file), target))];
}

function linksOf(text: string): { target: string; anchor: string | undefined }[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link)).map((link) => {
    const [target = '', anchor] = link.split('#');
    return { target, anchor };
  });
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'));
}

interface Requirement { id: string; level: 1 | 2; state: string; evidence: string }

function requirements(): Requirement[] {
  const rows = [...readFileSync(join(FOLDER, 'asvs-5-level-2.md'), 'utf8').matchAll(/^\| V(\d+\.\d+\.\d+) \| ([12]) \| [^|]+ \| ([^|]+) \| (.*) \|$/gm)];
  return rows.map(([, id = '', level, state = '', evidence = '']) => ({ id, level: level === '1' ? 1 : 2, state, evidence }));
}

describe('the security documents', () => {
  it('name files and tests that exist', () => {
    const found = pages();
    expect(found.length).toBeGreaterThan(10);
    expect(found.flatMap((page) => pathsOf(page).filter((path) => !existsSync(path)).map((path) => `${page.file}: ${path}`))).toEqual([]);
  });

  it('leave nothing to be filled in', () => {
    expect(pages().filter(({ text }) => /\(pending|TODO|\?\?/.test(text)).map(({ file }) => file)).toEqual([]);
  });

  it('link to headings that exist', () => {
    const broken = pages().flatMap(({ file, text }) => linksOf(text).flatMap(({ target, anchor }) => {
      if (anchor === undefined) return [];
      const there = target === '' ? text : readFileSync(join(dirname(file), target), 'utf8');
      return anchorsOf(there).includes(anchor) ? [] : [`${file}: ${target}#${anchor}`];
    }));
    expect(broken).toEqual([]);
  });
});

describe('the ASVS checklist', () => {
  it('has every requirement of levels 1 and 2 once', () => {
    const rows = requirements();
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
    expect({ 1: rows.filter(({ level }) => level === 1).length, 2: rows.filter(({ level }) => level === 2).length }).toEqual(REQUIREMENTS);
  });

  it('gives each a state that is known, and evidence', () => {
    expect(requirements().filter(({ state, evidence }) => !STATES.includes(state) || evidence.trim() === '')).toEqual([]);
  });

  it('counts them rightly at its top', () => {
    const rows = requirements();
    const text = readFileSync(join(FOLDER, 'asvs-5-level-2.md'), 'utf8');
    for (const state of [...STATES, 'all']) {
      const ofState = rows.filter((row) => state === 'all' || row.state === state);
      const [one, two] = [1, 2].map((level) => ofState.filter((row) => row.level === level).length);
      expect(text).toContain(`| ${state} | ${String(one)} | ${String(two)} | ${String(ofState.length)} |`);
    }
  });
});
