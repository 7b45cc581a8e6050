/** A metric as an expression names it. */
export interface Selector {
  metric: string;
  /** Label and what it is compared with, as written. */
  matchers: { label: string; value: string }[];
}

export interface Parsed {
  selectors: Selector[];
  /** Labels of `by`, `on` and the like. */
  groupings: string[];
  /** Labels of `without`. */
  dropped: string[];
}

const GROUPING = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const OTHER_WORDS = new Set(['and', 'or', 'unless', 'offset', 'bool', 'inf', 'nan']);
/** Strings, names, ranges and subqueries in brackets, numbers with their units and variables of Grafana, signs. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[A-Za-z_:][\w:]*|\[[^\]]*\]|\$\w+|\d[\w.]*|[{}(),]|[=!~<>+\-*/%^]+/g;

/** What an expression of PromQL names; as far as ours go, which is no grammar. */
export function parsePromql(expr: string): Parsed {
  const tokens = [...expr.matchAll(TOKEN)].map(([token]) => token);
  const selectors: Selector[] = [];
  const groupings: string[] = [];
  const dropped: string[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] ?? '';
    if (!/^[A-Za-z_:]/.test(token)) continue;
    const next = tokens[at + 1];
    if (GROUPING.has(token)) {
      const end = tokens.indexOf(')', at);
      (token === 'without' ? dropped : groupings).push(...tokens.slice(at + 2, end).filter((one) => one !== ','));
      at = end;
    } else if (next === '{') {
      const end = tokens.indexOf('}', at);
      selectors.push({ metric: token, matchers: matchersOf(tokens.slice(at + 2, end)) });
      at = end;
    } else if (next !== '(' && next !== 'by' && next !== 'without' && !OTHER_WORDS.has(token.toLowerCase())) selectors.push({ metric: token, matchers: [] });
  }
  return { selectors, groupings, dropped };
}

function matchersOf(tokens: readonly string[]): Selector['matchers'] {
  return tokens.flatMap((token, index) => (/^[A-Za-z_]\w*$/.test(token) && tokens[index + 2] !== undefined ? [{ label: token, value: (tokens[index + 2] ?? '').slice(1, -1) }] : []));
}
