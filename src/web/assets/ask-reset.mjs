import { call, onSubmit, say, texts, wordsOf } from './forms.mjs';

const form = document.getElementById('ask');

onSubmit(form, async ({ email }) => {
  const answer = await call('POST', '/api/v1/password-resets', { email });
  if (answer.ok) {
    form.hidden = true;
    say(texts.asked);
  } else say(wordsOf(answer), true);
});
