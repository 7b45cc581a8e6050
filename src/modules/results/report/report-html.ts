import { createHash } from 'node:crypto';
import { mediaTypeOf, type ReportComparison, type ReportDocument, type ReportPicture, type ReportTable } from '../../../imaging/report/document.js';

const STYLE = `
:root { color-scheme: light dark; --ink: #16262b; --faint: #51666c; --paper: #fff; --band: #f3f6f6; --line: #c9d4d6; --preliminary: #8a5a00; --final: #0b6e4f; --critical: #a3201d;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans SC", sans-serif; line-height: 1.45; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eeee; --faint: #a2b4b8; --paper: #11191b; --band: #1a2528; --line: #3c4d51; --preliminary: #e6b450; --final: #5cc2a0; --critical: #ffb4ab; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; background: var(--paper); color: var(--ink); overflow-wrap: break-word; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; justify-content: space-between; align-items: start; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; } p { margin: .25rem 0; }
.faint, dt, th, figcaption, footer { color: var(--faint); } .strong { font-weight: 600; }
.status { border: 2px solid var(--preliminary); color: var(--preliminary); border-radius: 6px; padding: .35rem .9rem; text-align: center; font-size: .8rem; }
.status.final { border-color: var(--final); color: var(--final); } .status strong { display: block; font-size: 1.05rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem 1rem; margin: 1rem 0; padding: .9rem 1rem; background: var(--band); border-radius: 6px; }
dl div:first-child { grid-column: 1 / -1; } dl div:first-child dd { font-size: 1.25rem; font-weight: 600; } dt { font-size: .75rem; } dd { margin: 0; }
.summary { font-size: 1.1rem; font-weight: 600; } .critical { display: inline-block; background: var(--critical); color: var(--paper); border-radius: 4px; padding: 0 .5rem; margin-inline-end: .5rem; }
.warning { border-inline-start: 4px solid var(--preliminary); color: var(--preliminary); padding-inline-start: .6rem; font-weight: 600; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; } th, td { text-align: start; padding: .3rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; } th { font-weight: 500; font-size: .8rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: .75rem; margin-top: 1.25rem; } figure { margin: 0; max-width: 24rem; } img { display: block; width: 100%; background: #000; border-radius: 4px; } figcaption { font-size: .8rem; margin-top: .25rem; }
.gone { background: var(--band); border-radius: 4px; padding: 3rem 1rem; text-align: center; color: var(--faint); }
.disclaimer { border: 2px solid var(--preliminary); color: var(--preliminary); border-radius: 6px; padding: .4rem; text-align: center; font-weight: 600; margin: 1.25rem 0; }
.notes { font-size: .85rem; } footer { font-size: .7rem; border-top: 1px solid var(--line); padding-top: .5rem; }
@media print { @page { size: A4; margin: 14mm; } :root { color-scheme: light; --ink: #000; --faint: #444; --paper: #fff; --band: #f3f6f6; --line: #bbb; --preliminary: #8a5a00; --final: #0b6e4f; --critical: #a3201d; font-size: 12px; }
  body { padding: 0; max-width: none; print-color-adjust: exact; -webkit-print-color-adjust: exact; } .pictures { grid-template-columns: repeat(3, 1fr); } .scroll { overflow: visible; } tr, figure { break-inside: avoid; } thead { display: table-header-group; } }
`;

/** Nothing runs, nothing is loaded, nothing is sent: the page holds all that it shows. */
export const REPORT_POLICY = `default-src 'none'; script-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox allow-popups allow-modals`;

/** A report as one page that needs nothing else. */
export function reportHtml(report: ReportDocument): string {
  const { language, title, institution, status, band, summary, warnings, tables, pictures, comparison, notes, disclaimer, footer } = report;
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<div><h1>${escaped(title)}</h1><p class="faint">${escaped(institution)}</p></div>
<p class="status${status.isFinal ? ' final' : ''}"><strong>${escaped(status.text)}</strong>${escaped(status.explanation)}</p>
</header>
<main>
<dl>${band.map(({ label, value }) => `<div><dt>${escaped(label)}</dt><dd dir="auto">${escaped(value)}</dd></div>`).join('')}</dl>
<p class="faint">${escaped(summary.title)}</p>
<p class="summary">${summary.critical === undefined ? '' : `<span class="critical">${escaped(summary.critical)}</span>`}${escaped(summary.text)}</p>
${warnings.map((warning) => `<p class="warning">${escaped(warning)}</p>`).join('\n')}
${tables.map(tableHtml).join('\n')}
${picturesHtml(pictures, report)}
${comparison ? comparisonHtml(comparison, report) : ''}
<div class="notes">${notes.map((note) => `<h2>${escaped(note.title)}</h2>${note.lines.map((line) => `<p>${escaped(line)}</p>`).join('')}`).join('\n')}</div>
<p class="disclaimer">${escaped(disclaimer)}</p>
</main>
<footer>${footer.map((line) => `<p>${escaped(line)}</p>`).join('')}</footer>
</body>
</html>
`;
}

function tableHtml({ title, columns, rows, empty }: ReportTable): string {
  const body = rows.map(({ cells, isStrong }) => `<tr${isStrong ? ' class="strong"' : ''}>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`).join('\n');
  const table = `<div class="scroll" tabindex="0"><table><thead><tr>${columns.map(({ label }) => `<th scope="col">${escaped(label)}</th>`).join('')}</tr></thead><tbody>${body}</tbody></table></div>`;
  return `<section><h2>${escaped(title)}</h2>${empty === undefined ? table : `<p>${escaped(empty)}</p>`}</section>`;
}

function picturesHtml(pictures: readonly ReportPicture[], { words }: ReportDocument): string {
  if (pictures.length === 0) return '';
  const figures = pictures.map(({ bytes, caption }) => {
    const shown = bytes ? `<img src="data:${mediaTypeOf(bytes)};base64,${Buffer.from(bytes).toString('base64')}" alt="${escaped(caption)}">` : `<div class="gone">${escaped(words.noPicture)}</div>`;
    return `<figure>${shown}<figcaption>${escaped(caption)}</figcaption></figure>`;
  });
  return `<div class="pictures">${figures.join('')}</div>`;
}

function comparisonHtml({ title, lines, table, picture }: ReportComparison, report: ReportDocument): string {
  return `<section><h2>${escaped(title)}</h2>${lines.map((line) => `<p>${escaped(line)}</p>`).join('')}${table ? tableHtml(table) : ''}${picture ? picturesHtml([picture], report) : ''}</section>`;
}

/** Whatever a name holds, it is text. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');
}
