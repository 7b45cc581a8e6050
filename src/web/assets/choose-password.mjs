import { call, onSubmit, say, texts, wordsOf } from './forms.mjs';

const form = document.getElementById('choose');
// The link's secret does not stay in the address bar and the history.
history.replaceState(null, '', location.pathname);

if (form) onSubmit(form, async ({ password, repeated }) => {
  if (password !== repeated) {
    say(texts.different, true);
    return;
  }
  const { token, purpose } = form.dataset;
  const path = purpose === 'invitation' ? `/api/v1/invitations/${encodeURIComponent(token)}/accept` : `/api/v1/password-resets/${encodeURIComponent(token)}`;
  const answer = await call('POST', path, { password });
  if (answer.ok) {
    form.hidden = true;
    say(texts.saved);
  } else if (answer.status === 404) say(texts.linkOver, true);
  else say(wordsOf(answer), true);
});
