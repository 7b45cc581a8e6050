// What a Prometheus answers to the panels of a dashboard.

/** As Grafana fills in its variables for all installations. @param range, rate  durations of PromQL */
export function filledIn(expr, { range, rate }) {
  return expr.replaceAll('$namespace', '.*').replaceAll('$__range', range).replaceAll('$__rate_interval', rate);
}

/** @param path  of Prometheus's API. @returns `data` of the answer */
export async function asked(url, path, parameters) {
  const response = await fetch(`${url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) });
  const { status, error, data } = await response.json();
  if (status !== 'success') throw new Error(`${parameters.query ?? path}: ${error}`);
  return data;
}

/** Between the points of a curve, in seconds. */
export function stepOf({ from, to }) {
  return Math.max(1, Math.round((to - from) / 240));
}

/**
 * Series of all queries of a panel, each with its legend and its points `[seconds, value]`; of what is shown as of now, one point.
 *
 * @param window  {from, to} in seconds, rate: a duration of PromQL
 */
export async function answersOf(url, panel, { from, to, rate }) {
  const range = `${String(Math.max(1, Math.round(to - from)))}s`;
  const step = stepOf({ from, to });
  const answers = await Promise.all(panel.targets.map(async ({ expr, legendFormat, instant }) => {
    const query = filledIn(expr, { range, rate });
    const { result } = instant ? await asked(url, 'query', { query, time: String(to) }) : await asked(url, 'query_range', { query, start: String(from), end: String(to), step: String(step) });
    return result.map(({ metric, value, values }) => ({ legend: legendOf(legendFormat, metric), labels: metric, points: (instant ? [value] : values).map(([at, text]) => [at, Number(text)]) }));
  }));
  return answers.flat();
}

function legendOf(format, metric) {
  if (format === '__auto') return Object.entries(metric).filter(([label]) => label !== '__name__').map(([label, value]) => `${label}=${value}`).join(' ');
  return format.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '');
}
