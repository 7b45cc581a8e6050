import { call, onSubmit, say, texts, wordsOf } from './forms.mjs';

const form = document.getElementById('login');
const codeField = document.getElementById('code-field');

onSubmit(form, async ({ email, password, otp, next }) => {
  const answer = await call('POST', '/session', { email, password, ...(otp !== '' && { otp }) });
  if (answer.ok) {
    location.assign(answer.body.secondFactorRequired ? '/account' : localPath(next));
    return;
  }
  if (answer.body?.code === 'second-factor-missing') {
    codeField.hidden = false;
    say(texts.codeNeeded);
    form.elements.otp.focus();
    return;
  }
  form.elements.otp.value = '';
  say(answer.body?.code === 'invalid-credentials' ? texts.refused : wordsOf(answer), true);
});

/** As the server does for a form: a path of ours, whatever the address bar said. */
function localPath(next) {
  if (!/^\/(?![/\\])/.test(next)) return '/';
  const url = new URL(next, location.origin);
  return url.origin === location.origin && !/^\/(login|session)(\/|$)/.test(url.pathname) ? `${url.pathname}${url.search}${url.hash}` : '/';
}
