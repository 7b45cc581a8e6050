// Grafana's panels, as far as our dashboards use them. In an expression `#N` stands for the filter by installation.
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const INSTALLATION = 'namespace=~"$namespace"';

/** Colours from values on: `[colour, from]`, the first from `null`. */
export const steps = (...pairs) => ({ mode: 'absolute', steps: pairs.map(([color, value]) => ({ color, value })) });
export const badAbove = (limit) => steps(['green', null], ['red', limit]);
export const badBelow = (limit) => steps(['red', null], ['green', limit]);
const NEUTRAL = steps(['blue', null]);

export function expanded(expr) {
  return expr.replaceAll('#N', INSTALLATION);
}

/** One query of a panel. @param legend  with `{{label}}`; Grafana's own choice when left out */
export function query(expr, legend = '__auto') {
  return { expr: expanded(expr), legend };
}

/**
 * What a counter grew by in a window. One with labels is born at its first event, which `increase` does not see: what has no sample before the
 * window is its own increase.
 */
export function grown(metric, selector, window) {
  const series = `${metric}{${selector === '' ? '' : `${selector}, `}#N}`;
  return `((last_over_time(${series}[${window}]) unless last_over_time(${series}[1h] offset ${window})) or increase(${series}[${window}]))`;
}

/** One figure, or one for each series, as of now. @param bad  what is said, in red, where there is none */
export function stat(title, description, queries, { unit = 'short', decimals, thresholds = NEUTRAL, bad, noValue = bad ?? '–' } = {}) {
  return {
    ...panel('stat', title, description, queries, { instant: true, height: 4 }),
    fieldConfig: fields({ unit, ...(decimals !== undefined && { decimals }), noValue, mappings: bad === undefined ? [] : [{ type: 'special', options: { match: 'null+nan', result: { text: bad, color: 'red', index: 0 } } }], thresholds, color: { mode: 'thresholds' } }),
    options: { reduceOptions: REDUCED, colorMode: thresholds === NEUTRAL ? 'value' : 'background', graphMode: 'none', textMode: 'auto', justifyMode: 'auto', orientation: 'auto', wideLayout: true },
  };
}

/** Lines over time; with `thresholds` the limit is drawn, too. */
export function lines(title, description, queries, { unit = 'short', decimals, max, thresholds, stacked = false, height = 8 } = {}) {
  return {
    ...panel('timeseries', title, description, queries, { instant: false, height }),
    fieldConfig: fields({
      unit, ...(decimals !== undefined && { decimals }), min: 0, ...(max !== undefined && { max }), thresholds: thresholds ?? NEUTRAL, color: { mode: 'palette-classic' },
      custom: { drawStyle: 'line', lineWidth: 1, fillOpacity: stacked ? 40 : 10, showPoints: 'never', spanNulls: false, stacking: { mode: stacked ? 'normal' : 'none', group: 'A' }, thresholdsStyle: { mode: thresholds ? 'line' : 'off' } },
    }),
    options: { legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] }, tooltip: { mode: 'multi', sort: 'desc' } },
  };
}

/** A bar for each series, as of now. */
export function bars(title, description, queries, { unit = 'short', decimals, max, thresholds = NEUTRAL } = {}) {
  return {
    ...panel('bargauge', title, description, queries, { instant: true, height: 8 }),
    fieldConfig: fields({ unit, ...(decimals !== undefined && { decimals }), min: 0, ...(max !== undefined && { max }), thresholds, color: { mode: 'thresholds' } }),
    options: { orientation: 'horizontal', displayMode: 'basic', valueMode: 'text', showUnfilled: true, namePlacement: 'left', sizing: 'auto', reduceOptions: REDUCED },
  };
}

/** A row for each series, its labels and its value, as of now. */
export function table(title, description, queries, { unit = 'short', column, height = 8 }) {
  const { targets, ...rest } = panel('table', title, description, queries, { instant: true, height });
  return {
    ...rest, targets: targets.map((target) => ({ ...target, format: 'table' })),
    transformations: [{ id: 'organize', options: { excludeByName: { Time: true }, renameByName: { Value: column } } }],
    fieldConfig: fields({ unit, custom: { align: 'auto', cellOptions: { type: 'auto' } }, thresholds: NEUTRAL }),
    options: { showHeader: true, cellHeight: 'sm', footer: { show: false }, sortBy: [{ displayName: column, desc: true }] },
  };
}

/** @param rows  of panels that share the width, or the title of what follows */
export function dashboard({ name, title, description, rows }) {
  const panels = [];
  let y = 0;
  for (const row of rows) {
    if (typeof row === 'string') {
      panels.push({ id: panels.length + 1, type: 'row', title: row, collapsed: false, gridPos: { x: 0, y: y++, w: 24, h: 1 }, panels: [] });
      continue;
    }
    const width = Math.floor(24 / row.length);
    for (const [index, { height, ...one }] of row.entries()) panels.push({ id: panels.length + 1, gridPos: { x: index * width, y, w: width, h: height }, ...one });
    y += row[0].height;
  }
  return {
    uid: `healthvision-${name}`, title: `HealthVision: ${title}`, description, tags: ['healthvision'], schemaVersion: 41, version: 1, editable: true, graphTooltip: 1,
    timezone: 'browser', refresh: '30s', time: { from: 'now-6h', to: 'now' },
    links: [{ type: 'dashboards', title: 'HealthVision', tags: ['healthvision'], asDropdown: true, includeVars: true, keepTime: true, targetBlank: false, icon: 'external link', tooltip: '', url: '' }],
    templating: { list: [DATASOURCE_VARIABLE, NAMESPACE_VARIABLE] },
    annotations: { list: [ALERTS] },
    panels,
  };
}

const REDUCED = { calcs: ['lastNotNull'], fields: '', values: false };

const DATASOURCE_VARIABLE = { type: 'datasource', name: 'datasource', label: 'Prometheus', query: 'prometheus', regex: '', refresh: 1, hide: 0, includeAll: false, multi: false, options: [], current: {} };

/** Where Prometheus knows no namespaces, "All" is the one installation. */
const NAMESPACE_VARIABLE = {
  type: 'query', name: 'namespace', label: 'Installation', datasource: DATASOURCE, definition: 'label_values(up{job=~"healthvision-(api|worker)"}, namespace)',
  query: { query: 'label_values(up{job=~"healthvision-(api|worker)"}, namespace)', refId: 'namespace' }, regex: '', refresh: 2, sort: 1, hide: 0, includeAll: true, allValue: '.*', multi: true, options: [],
  current: { text: ['All'], value: ['$__all'] },
};

/** The worst of what fires stands in every graph. */
const ALERTS = {
  name: 'Alerts', datasource: DATASOURCE, enable: true, hide: false, iconColor: 'red', expr: expanded('ALERTS{alertstate="firing", alertname=~"HealthVision.+", severity=~"P1|P2", #N}'),
  titleFormat: '{{severity}} {{alertname}}', textFormat: '{{instance}} {{queue}}', step: '60s',
};

function panel(type, title, description, queries, { instant, height }) {
  const targets = [queries].flat().map(({ expr, legend }, index) => ({ refId: String.fromCharCode(65 + index), datasource: DATASOURCE, editorMode: 'code', expr, legendFormat: legend, instant, range: !instant }));
  return { height, type, title, description, datasource: DATASOURCE, targets };
}

function fields(defaults) {
  return { defaults, overrides: [] };
}
