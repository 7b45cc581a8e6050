export async function scrape(url: string): Promise<string> {
  const response = await fetch(`${url}/metrics`);
  if (!response.ok) throw new Error(`/metrics: ${String(response.status)}`);
  return response.text();
}

/** The value of a series in Prometheus' text format; undefined when it is not there. @param labels  all that it has */
export function valueOf(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  for (const [, own, given = '', value] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)) {
    if (own !== name) continue;
    const found = new Map([...given.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', content = '']) => [label, content]));
    if (found.size === Object.keys(labels).length && Object.entries(labels).every(([label, content]) => found.get(label) === content)) return Number(value);
  }
  return undefined;
}
