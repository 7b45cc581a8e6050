import { call, filled, onClick, say, texts, wordsOf } from './forms.mjs';
import { detailsRow, studyRow } from './worklist-rows.mjs';

const element = (id) => document.getElementById(id);
const PAGE = 50;
/** What nobody is told of by an event, such as images that arrive, is asked for this often. Each time is an entry of the audit trail. */
const REFRESH_MS = 60_000;
/** Events that come together need one look. */
const GATHER_MS = 400;
const EVENTS = ['result.ready', 'result.critical', 'result.withheld', 'result.reviewed', 'analysis.failed'];

const form = element('filters');
const rows = element('rows');
/** Cursors of the pages before this one, and this one's. */
let cursors = [undefined];
let next = null;
/** Studies whose details are open. */
const open = new Set();
/** Only the newest question is answered. */
let asked = 0;
let gathering;
let events;

restoreFilters();
await Promise.all([greet(), show()]);
watch();

form.addEventListener('submit', (event) => { event.preventDefault(); begin(); });
form.addEventListener('reset', () => { setTimeout(begin); });
form.addEventListener('change', (event) => { if (event.target.type !== 'search') begin(); });
onClick(element('older'), () => turn([...cursors, next]));
onClick(element('newer'), () => turn(cursors.slice(0, -1)));
onClick(element('sign-out'), async () => {
  await call('DELETE', '/session');
  location.assign('/login?ended=1');
});
rows.addEventListener('click', (event) => {
  const button = event.target.closest('button.unfold');
  if (button) unfold(button.closest('tr'));
});
rows.addEventListener('keydown', onKey);
addEventListener('visibilitychange', () => {
  follow();
  if (!document.hidden) soon();
});

async function greet() {
  const session = await call('GET', '/session');
  if (session.ok) element('who').textContent = session.body.user.displayName;
}

/** From the first page on. */
function begin() {
  keepFilters();
  open.clear();
  return turn([undefined]);
}

async function turn(to) {
  cursors = to;
  await show();
  scrollTo({ top: 0 });
}

/** The page as it is now. */
async function show({ quiet = false } = {}) {
  const mine = ++asked;
  if (!quiet) {
    tell(texts.loading);
    element('studies').setAttribute('aria-busy', 'true');
  }
  const answer = await call('GET', `/api/v1/worklist?${question()}`).catch(() => undefined);
  if (mine !== asked) return;
  element('studies').removeAttribute('aria-busy');
  if (answer?.status === 401) return location.assign('/login?next=%2F');
  if (!answer?.ok) return complain(answer, quiet);
  element('message').replaceChildren();
  next = answer.body.nextCursor;
  draw(answer.body.items);
  element('older').disabled = next === null;
  element('newer').disabled = cursors.length === 1;
}

function question() {
  const query = new URLSearchParams([['limit', String(PAGE)]]);
  for (const [name, value] of new FormData(form)) if (value.trim() !== '') query.set(name, value.trim());
  const cursor = cursors.at(-1);
  if (cursor) query.set('cursor', cursor);
  return query.toString();
}

/** What was asked for by hand is not answered with what was there before; what nobody asked for takes nobody from where they are. */
function complain(answer, quiet) {
  tell('');
  if (!quiet) rows.replaceChildren();
  say(answer === undefined ? texts.failed : answer.status === 403 ? texts.forbidden : wordsOf(answer), true, !quiet);
}

/** Lines that say the same stay, with the pictures below them; where the keyboard was it stays. */
function draw(items) {
  const focused = document.activeElement;
  const line = focused?.closest?.('#rows tr');
  const at = line ? [...line.querySelectorAll('a, button')].indexOf(focused) : -1;
  const before = new Map([...rows.querySelectorAll('tr[data-study]')].map((row) => [row.dataset.study, row]));
  rows.replaceChildren(...items.flatMap((item) => linesOf(item, before.get(item.studyInstanceUid))));
  if (line) (rows.contains(focused) ? focused : sameLine(line)?.querySelectorAll('a, button')[at] ?? sameLine(line)?.querySelector('a'))?.focus({ preventScroll: true });
  const count = items.length;
  const isFiltered = [...new FormData(form)].some(([name, value]) => name !== 'sort' && value.trim() !== '');
  tell(count === 0 ? (isFiltered || cursors.length > 1 ? texts.nothing : texts.empty) : filled(count === 1 ? texts.one : texts.count, { count }), count > 0);
}

/** Of a study: its line and, when they are open, its details. */
function linesOf(item, before) {
  const told = JSON.stringify(item);
  const isOpen = open.has(item.studyInstanceUid);
  if (before?.told === told && isUnfolded(before) === isOpen) return isOpen ? [before, before.nextElementSibling] : [before];
  const row = Object.assign(studyRow(item, isOpen), { item, told });
  return isOpen ? [row, detailsRow(item)] : [row];
}

function isUnfolded(row) {
  return row.querySelector('button.unfold').getAttribute('aria-expanded') === 'true';
}

/** The line of the same study, of the same kind. */
function sameLine({ dataset: { study, detailsOf } }) {
  return rows.querySelector(study ? `tr[data-study="${CSS.escape(study)}"]` : `tr[data-details-of="${CSS.escape(detailsOf)}"]`);
}

/** When it was looked at is for the eye: read out it would be so every minute. */
function tell(words, isLive = false) {
  const [said, when] = element('status').children;
  if (said.textContent !== words) said.textContent = words;
  when.textContent = isLive ? ` · ${filled(texts.live, { time: new Date().toLocaleTimeString(document.documentElement.lang, { timeStyle: 'short' }) })}` : '';
}

function unfold(row, wanted = !open.has(row.dataset.study)) {
  if (wanted === open.has(row.dataset.study)) return;
  const button = row.querySelector('button.unfold');
  button.setAttribute('aria-expanded', String(wanted));
  button.firstChild.textContent = wanted ? texts.hide : texts.details;
  if (wanted) {
    open.add(row.dataset.study);
    row.after(detailsRow(row.item));
  } else {
    open.delete(row.dataset.study);
    row.nextElementSibling.remove();
  }
}

function onKey(event) {
  const row = event.target.closest('tr[data-study]');
  if (!row || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const all = [...rows.querySelectorAll('tr[data-study]')];
  const at = all.indexOf(row);
  const goals = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
  if (event.key in goals) {
    const goal = all[goals[event.key]];
    goal?.querySelector('a.primary').focus();
    goal?.scrollIntoView({ block: 'nearest' });
  } else if (event.key === 'ArrowRight') unfold(row, true);
  else if (event.key === 'ArrowLeft') unfold(row, false);
  else return;
  event.preventDefault();
}

/** Results as they come in; whoever may not follow notifications has the clock. */
function watch() {
  follow();
  setInterval(() => { if (!document.hidden) soon(); }, REFRESH_MS);
}

/** Only while the page is seen: a browser has few connections to one host, which other tabs want. */
function follow() {
  events?.close();
  if (document.hidden) return;
  events = new EventSource('/api/v1/events');
  for (const name of EVENTS) events.addEventListener(name, soon);
}

function soon() {
  clearTimeout(gathering);
  gathering = setTimeout(() => { void show({ quiet: true }); }, GATHER_MS);
}

/** For this tab, and without what was typed: that names patients. */
function keepFilters() {
  sessionStorage.setItem('worklist', JSON.stringify([...new FormData(form)].filter(([name]) => name !== 'text')));
}

function restoreFilters() {
  for (const [name, value] of JSON.parse(sessionStorage.getItem('worklist') ?? '[]')) {
    const field = form.elements[name];
    if (field?.type === 'checkbox') field.checked = true;
    else if (field) field.value = value;
  }
}
