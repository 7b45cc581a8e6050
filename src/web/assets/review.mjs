import { call, filled, make, onSubmit, say, texts, wordsOf } from './forms.mjs';
import { patientOf, readable } from './patient.mjs';
import { addedItem, findingItem, labelItem, segmentItem } from './review-items.mjs';

const element = (id) => document.getElementById(id);
const language = document.documentElement.lang;
const date = (text) => new Date(text).toLocaleString(language, { dateStyle: 'medium', timeStyle: 'short' });
const { result: id } = element('review').dataset;
const path = `/api/v1/results/${id}`;
const SIGNED = ['final', 'amended'];
/** What a person may add, as the analyses code it. Of classes none is missing: a person says that it is present. */
const MISSED = {
  'lung-nodule-detection': { kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' } },
  'brain-tumour-segmentation': { kind: 'tumour', code: { system: 'SNOMED-CT', value: '108369006', meaning: 'Neoplasm' } },
};

/** As it stands, and the tag of what was seen. */
let seen;
/** Whether the reader may change results. */
let mayReview = false;
/** What was chosen here and is not saved, by what it is about: `finding …`, `label …`, `segment …`, `added …`. Without a decision it is not complete. */
const pending = new Map();
let added = 0;
/** A body and the key that it went out with: sent again after an answer was lost, it is not done twice. */
let sent = {};

onSubmit(element('decisions'), async () => {
  if (pending.size === 0) return say(isTyped() ? texts.missedFirst : texts.nothing, true);
  if (isTyped()) return say(texts.missedFirst, true);
  const [incomplete] = [...pending.values()].filter(({ decision }) => decision === undefined);
  if (incomplete) return say(filled(texts.incomplete, incomplete), true);
  if (!(await change('reviews', { decisions: [...pending.values()].map(({ decision }) => decision) }))) return;
  pending.clear();
  draw();
  say(texts.saved);
});

onSubmit(element('sign'), async ({ meaning, statement, password, code }) => {
  if (pending.size > 0 || isTyped()) return say(texts.unsavedFirst, true);
  if (password === '' && code === '') return say(texts.proofNeeded, true);
  const said = statement.trim();
  const isSigned = await change('sign-off', { meaning, ...(said !== '' && { statement: said }), ...(password === '' ? { code } : { password }) });
  for (const name of ['password', 'code']) element(name).value = '';
  if (!isSigned) return;
  element('sign').reset();
  draw();
  say(texts.signed);
});

onSubmit(element('amend'), async ({ reason }) => {
  if (!(await change('amendments', { reason }))) return;
  element('amend').reset();
  draw();
  say(texts.opened);
});

onSubmit(element('missed-form'), () => {
  const [diameter, words] = missedFields();
  const comment = words.value.trim();
  if (diameter.value === '' && comment === '') return say(texts.addNothing, true);
  const { kind, code } = MISSED[seen.body.analysis];
  const decision = { decision: 'add', kind, code, ...(diameter.value !== '' && { measurements: [{ name: 'diameter', value: diameter.valueAsNumber, unit: 'mm' }] }), ...(comment !== '' && { comment }) };
  keep(`added ${String(++added)}`, { what: texts.words.kinds[kind], decision });
  for (const field of [diameter, words]) field.value = '';
  drawParts();
  diameter.focus();
});

addEventListener('beforeunload', (event) => { if (pending.size > 0 || isTyped()) event.preventDefault(); });

// Last: a form that is sent before somebody listens would be sent by the browser itself.
await Promise.all([greet(), show()]).catch(() => { say(texts.failed, true); });

/** Makes a new version of the result; false when it was not made, and then it was said why. What is shown can not be changed meanwhile. */
async function change(what, body) {
  const text = JSON.stringify([what, seen.etag, body]);
  // No `randomUUID` where the page came over http from another machine.
  if (sent.text !== text) sent = { text, key: [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('') };
  element('result').inert = true;
  try {
    const answer = await call('POST', `${path}/${what}`, body, { ifMatch: seen.etag, ...(what !== 'sign-off' && { idempotencyKey: sent.key }) });
    if (answer.ok) {
      seen = answer;
      return true;
    }
    if (answer.status === 412) {
      await show();
      say(texts.stale, true);
    } else say(wordsOf(answer), true);
    return false;
  } finally {
    element('result').inert = false;
  }
}

async function greet() {
  const { ok, body } = await call('GET', '/api/v1/users/me');
  if (!ok) return;
  mayReview = body.permissions.includes('results:review');
  element('username').value = body.email;
  if (seen) draw();
}

/** The result as it stands, with what is not saved. */
async function show() {
  const answer = id === '' ? { status: 404 } : await call('GET', path);
  if (answer.status === 401) return location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
  if (!answer.ok) return say([403, 404].includes(answer.status) ? texts.missing : wordsOf(answer), true);
  seen = answer;
  draw();
  await showPatient(seen.body.studyInstanceUid);
}

function draw() {
  const { analysis, status, summary, warnings = [], studyInstanceUid, provenance, disclaimer, faults = [] } = seen.body;
  const [isWithheld, isSigned] = [status === 'withheld', SIGNED.includes(status)];
  element('analysis').textContent = texts.analyses[analysis] ?? analysis;
  element('standing').replaceChildren(make('strong', { className: 'badge', textContent: texts.reviews[status] ?? status }), ' ', summary.critical ? make('strong', { className: 'badge critical', textContent: texts.critical }) : '');
  element('summary').textContent = summary.text;
  element('warnings').replaceChildren(...warnings.map(({ text }) => make('p', { className: 'warning', textContent: text })));
  element('model').textContent = `${provenance.model.name} ${provenance.model.version} · ${disclaimer}`;
  Object.assign(element('images'), { href: `/viewer/viewer?StudyInstanceUIDs=${encodeURIComponent(studyInstanceUid)}`, hidden: false });
  Object.assign(element('pdf'), { href: `${path}/report.pdf`, hidden: isWithheld });
  const isOpen = mayReview && !isSigned && !isWithheld;
  element('decisions').hidden = isWithheld;
  element('signing').hidden = !isOpen;
  element('save').hidden = !isOpen;
  element('missed').hidden = !isOpen || MISSED[analysis] === undefined;
  element('amending').hidden = !mayReview || !isSigned;
  element('reading-only').hidden = mayReview || isWithheld;
  drawParts();
  element('result').hidden = false;
  void showHistory();
  if (isWithheld) say([texts.withheld, ...faults.map(({ title }) => title)], true, false);
}

function drawParts() {
  const { analysis, findings, labels, segments, review } = seen.body;
  const tools = { resultPath: path, version: review?.version ?? 1, isOpen: !element('signing').hidden, pending, keep };
  // A finding of a classification is its label: it is judged there.
  const own = findings.filter(({ kind, code }) => !(kind === 'label' && labels.some((label) => label.code?.value === code.value)));
  const more = [...pending].filter(([about]) => about.startsWith('added '));
  const remove = (about) => {
    keep(about, undefined);
    drawParts();
    element('missed').querySelector('summary').focus();
  };
  fill('findings', [...own.map((finding) => findingItem(finding, tools)), ...more.map(([about, { decision }]) => addedItem(decision, () => { remove(about); }))]);
  fill('labels', labels.map((label) => labelItem(label, tools)));
  fill('segments', segments.map((segment) => segmentItem(segment, tools)));
  element('found').hidden = own.length === 0 && more.length === 0 && labels.length > 0;
  element('labelled').hidden = labels.length === 0;
  // Of nodules, each segment is a finding, which says the same.
  element('segmented').hidden = segments.length === 0 || analysis === 'lung-nodule-detection';
  count();
}

function fill(where, items) {
  element(where).replaceChildren(...(items.length === 0 ? [make('p', { className: 'hint', textContent: texts.none })] : items));
}

/** @param chosen  undefined: nothing any more */
function keep(about, chosen) {
  if (chosen === undefined) pending.delete(about);
  else pending.set(about, chosen);
  count();
}

function count() {
  const text = pending.size === 0 ? '' : filled(pending.size === 1 ? texts.pendingOne : texts.pending, { count: pending.size });
  if (element('pending').textContent !== text) element('pending').textContent = text;
}

function missedFields() {
  return [element('missed-diameter'), element('missed-comment')];
}

/** Something was missed, and was not added yet. */
function isTyped() {
  return missedFields().some(({ value }) => value.trim() !== '');
}

async function showPatient(studyInstanceUid) {
  const { ok, body } = await call('GET', `/api/v1/studies/${encodeURIComponent(studyInstanceUid)}`);
  if (!ok) return element('patient').replaceChildren();
  const [name, ...others] = (body.patientName ?? '').split('=');
  const who = patientOf({ ...body, patientName: name === '' ? null : name, readable: true });
  const facts = [body.patientId === who ? null : body.patientId, body.patientSex, body.patientBirthDate && filled(texts.born, { date: body.patientBirthDate }), body.studyDate ?? texts.noDate, body.studyDescription];
  element('patient').replaceChildren(make('strong', { textContent: [who, ...others.map((other) => readable(other, ' '))].filter((part) => part !== '').join(' ') }), ` · ${facts.filter((fact) => fact !== null && fact !== '').join(' · ')}`);
}

async function showHistory() {
  const items = [];
  for (let cursor = ''; cursor !== null;) {
    const { ok, body } = await call('GET', `${path}/versions?limit=200${cursor}`).catch(() => ({ ok: false }));
    if (!ok) return;
    items.push(...body.items);
    cursor = body.nextCursor === null ? null : `&cursor=${encodeURIComponent(body.nextCursor)}`;
  }
  element('history').replaceChildren(...items.map(historyItem));
}

function historyItem({ at, by, kind, decisions, reason, signOff }) {
  const words = [reason, signOff?.statement, ...decisions.map(({ comment }) => comment)].filter((word) => word !== undefined);
  const made = decisions.length === 0 ? [] : [decisions.length === 1 ? texts.decisionsOne : filled(texts.decisions, { count: decisions.length })];
  const line = [filled(texts.entry, { date: date(at), name: by?.name ?? texts.made, kind: texts.kinds[kind] ?? kind }), ...made].join(' · ');
  return make('li', {}, line, ...words.map((word) => make('p', { className: 'hint', textContent: word })));
}
