import { filled, make, texts } from './forms.mjs';
import { patientOf, readable } from './patient.mjs';

const language = document.documentElement.lang;

export function studyRow(item, isOpen) {
  const who = patientOf(item);
  const unfold = make('button', { type: 'button', className: 'unfold', textContent: isOpen ? texts.hide : texts.details });
  unfold.setAttribute('aria-expanded', String(isOpen));
  // The words that are seen begin the name, for those who say what they want to press.
  unfold.append(make('span', { className: 'unseen', textContent: ` · ${who}` }));
  const row = make('tr', {},
    make('td', {}, item.critical ? make('strong', { className: 'badge critical', textContent: texts.critical }) : ''),
    make('th', { scope: 'row' }, patientLink(item, who), hint([item.patientId === who ? null : item.patientId, item.patientSex, item.patientBirthDate && filled(texts.born, { date: item.patientBirthDate })])),
    make('td', { className: 'whole' }, item.studyDate ?? texts.noDate, hint([clock(item.studyTime), item.accessionNumber])),
    make('td', {}, item.modalities.join(' · ')),
    make('td', {}, item.studyDescription ?? '', hint([item.instanceCount === 1 ? texts.image : filled(texts.images, { count: item.instanceCount.toLocaleString(language) }), item.state === 'receiving' ? texts.states.receiving : null])),
    make('td', {}, ...lines(item.results, (result) => make('span', {}, result.summary ?? texts.withheld, hint((result.warnings ?? []).map(({ text }) => text))), texts.noResult)),
    make('td', {}, ...lines(item.runs, runText, texts.noAnalysis)),
    make('td', {}, ...lines([...new Set(item.results.map(({ status }) => status))], (status) => texts.reviews[status] ?? status, texts.noResult)),
    make('td', {}, unfold),
  );
  row.dataset.study = item.studyInstanceUid;
  if (item.critical) row.className = 'critical';
  return row;
}

export function detailsRow(item) {
  const cell = make('td', { colSpan: 9 },
    make('p', {}, make('a', { href: viewerPath(item), textContent: texts.viewer }), ` · ${filled(texts.received, { date: new Date(item.lastInstanceAt).toLocaleString(language, { dateStyle: 'medium', timeStyle: 'short' }) })}`),
    make('div', { className: 'results' }, ...item.results.map(resultFigure)),
  );
  const row = make('tr', { className: 'details' }, cell);
  row.dataset.detailsOf = item.studyInstanceUid;
  return row;
}

function resultFigure({ id, analysis, status, critical, summary, warnings = [] }) {
  const name = texts.analyses[analysis] ?? analysis;
  const path = `/api/v1/results/${encodeURIComponent(id)}`;
  const caption = make('figcaption', {}, make('strong', { textContent: name }), critical ? make('strong', { className: 'badge critical', textContent: texts.critical }) : '', make('p', { textContent: summary ?? texts.withheld }), ...warnings.map(({ text }) => make('p', { className: 'warning', textContent: text })));
  if (status === 'withheld') return make('figure', {}, caption);
  caption.append(make('p', {}, make('a', { href: `${path}/report.pdf`, textContent: texts.pdf }), ' · ', make('a', { href: `${path}/report.html`, textContent: texts.page }), ' · ', make('a', { href: `/review/${encodeURIComponent(id)}`, textContent: texts.review })));
  const picture = make('img', { src: `${path}/preview.png`, alt: filled(texts.preview, { analysis: name }), loading: 'lazy', width: 320, height: 320 });
  // A result without a picture, of a study whose images went.
  picture.addEventListener('error', () => { picture.remove(); });
  return make('figure', {}, picture, caption);
}

function patientLink(item, who) {
  const link = make('a', { className: 'primary', href: viewerPath(item) }, who);
  // Names in other scripts beside the first.
  for (const other of [item.patientNameIdeographic, item.patientNamePhonetic]) if (other !== null) link.append(' ', make('span', { className: 'script', textContent: readable(other, ' ') }));
  link.title = filled(texts.open, { patient: who });
  return link;
}

function runText({ analysis, status, progress, reason }) {
  const state = texts.runs[status] ?? status;
  const more = status === 'running' ? ` ${Math.round(progress * 100)} %` : reason !== null && status !== 'succeeded' ? ` (${texts.reasons[reason] ?? reason})` : '';
  return make('span', { className: `run ${status}`, textContent: `${texts.analyses[analysis] ?? analysis}: ${state}${more}` });
}

function lines(values, wordsOf, otherwise) {
  return values.length === 0 ? [make('span', { className: 'hint', textContent: otherwise })] : values.map((value) => make('div', {}, wordsOf(value)));
}

function hint(parts) {
  const text = parts.filter((part) => part !== null && part !== undefined && part !== '').join(' · ');
  return text === '' ? '' : make('p', { className: 'hint', textContent: text });
}

/** TM, hours and minutes. */
function clock(time) {
  return /^\d{4}/.test(time ?? '') ? `${time.slice(0, 2)}:${time.slice(2, 4)}` : null;
}

function viewerPath({ studyInstanceUid }) {
  return `/viewer/viewer?StudyInstanceUIDs=${encodeURIComponent(studyInstanceUid)}`;
}
