import { call, filled, onClick, onSubmit, say, texts, wordsOf } from './forms.mjs';

const element = (id) => document.getElementById(id);
const FACTOR = '/api/v1/users/me/second-factor';
const SESSIONS = '/api/v1/users/me/sessions';
const date = (text) => new Date(text).toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' });

onClick(element('sign-out'), async () => {
  await call('DELETE', '/session');
  location.assign('/login?ended=1');
});

onClick(element('factor-start'), async () => {
  const answer = await call('POST', FACTOR);
  if (!answer.ok) return say(wordsOf(answer), true);
  element('factor-picture').src = answer.body.qrCode;
  element('factor-key').textContent = answer.body.secret.replace(/(.{4})(?=.)/g, '$1 ');
  element('factor-start').hidden = true;
  element('factor-confirm').hidden = false;
  element('confirm-code').focus();
});

onSubmit(element('factor-confirm'), async ({ code }) => {
  const answer = await call('POST', `${FACTOR}/confirm`, { code });
  if (!answer.ok) return say(wordsOf(answer), true);
  element('factor-confirm').reset();
  await show();
  showRecoveryCodes(answer.body.recoveryCodes);
  say(texts.confirmed);
});

onSubmit(element('factor-change'), async ({ code, action }) => {
  const renews = action === 'renew';
  const answer = renews ? await call('POST', `${FACTOR}/recovery-codes`, { code }) : await call('DELETE', FACTOR, { code });
  if (!answer.ok) return say(wordsOf(answer), true);
  element('factor-change').reset();
  await show();
  if (renews) showRecoveryCodes(answer.body.recoveryCodes);
  else say(texts.removed);
});

onSubmit(element('password'), async ({ currentPassword, newPassword, repeated }) => {
  if (newPassword !== repeated) return say(texts.different, true);
  const answer = await call('POST', '/api/v1/users/me/password', { currentPassword, newPassword });
  if (!answer.ok) return say(wordsOf(answer), true);
  element('password').reset();
  await show();
  say(texts.changed);
});

onClick(element('end-others'), async () => {
  await call('DELETE', SESSIONS);
  await show();
});

// Last: a form that is sent before somebody listens would be sent by the browser itself.
await show();

/** Everything as it is now. */
async function show() {
  const session = await call('GET', '/session');
  if (session.status === 401) return location.assign('/login?next=%2Faccount');
  const { user, secondFactorRequired } = session.body;
  element('who').textContent = `${user.displayName} · ${user.email}`;
  // Until the second factor is there, nothing else answers.
  for (const id of ['password-section', 'sessions-section']) element(id).hidden = secondFactorRequired;
  if (secondFactorRequired) say(texts.required);
  await showFactor();
  if (!secondFactorRequired) await showSessions();
}

async function showFactor() {
  const { body: { confirmedAt, recoveryCodesLeft } } = await call('GET', FACTOR);
  element('factor-state').textContent = confirmedAt ? filled(texts.on, { date: date(confirmedAt), count: recoveryCodesLeft }) : texts.off;
  element('factor-start').hidden = confirmedAt !== null;
  element('factor-confirm').hidden = true;
  element('factor-change').hidden = confirmedAt === null;
  element('recovery').hidden = true;
}

function showRecoveryCodes(codes) {
  element('recovery-codes').replaceChildren(...codes.map((code) => Object.assign(document.createElement('li'), { textContent: code })));
  element('recovery').hidden = false;
}

async function showSessions() {
  const { body } = await call('GET', `${SESSIONS}?limit=200`);
  element('sessions').replaceChildren(...body.items.reverse().sort((a, b) => b.current - a.current).map(sessionItem));
  element('end-others').hidden = body.items.length < 2;
}

function sessionItem({ id, kind, address, userAgent, secondFactor, current, lastSeenAt }) {
  const item = document.createElement('li');
  const about = document.createElement('div');
  const agent = Object.assign(document.createElement('span'), { className: 'agent', textContent: userAgent ?? texts.unknownPlace });
  const facts = [current ? texts.thisOne : filled(texts.lastSeen, { date: date(lastSeenAt) }), kind === 'cookie' ? texts.cookie : texts.tokens, address ?? texts.unknownPlace, ...(secondFactor ? [texts.withCode] : [])];
  about.append(agent, Object.assign(document.createElement('p'), { className: 'hint', textContent: facts.join(' · ') }));
  item.append(about);
  if (!current) {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: texts.end });
    button.setAttribute('aria-label', `${texts.end}: ${userAgent ?? address ?? texts.unknownPlace}`);
    onClick(button, async () => {
      await call('DELETE', `${SESSIONS}/${id}`);
      await show();
    });
    item.append(button);
  }
  return item;
}
