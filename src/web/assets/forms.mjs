import { csrfToken } from './csrf.mjs';

/** What the scripts of the pages share. The words come with the page, in the reader's language. */
export const texts = JSON.parse(document.getElementById('texts').textContent);

const message = document.getElementById('message');

/** Calls the API with the cookie; what changes something carries the token that goes with it. */
export async function call(method, path, body) {
  const token = csrfToken();
  const headers = { 'Accept': 'application/json', 'Accept-Language': document.documentElement.lang, ...(body !== undefined && { 'Content-Type': 'application/json' }), ...(token !== undefined && { 'X-CSRF-Token': token }) };
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  return { ok: response.ok, status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

/** Says something above the page's content, and leads those who do not see it there unless they did not ask. */
export function say(lines, isError = false, isAnswer = true) {
  message.replaceChildren(...[lines].flat().map((line) => {
    const paragraph = document.createElement('p');
    paragraph.className = isError ? 'message error' : 'message';
    paragraph.textContent = line;
    return paragraph;
  }));
  if (!isAnswer) return;
  message.focus();
  message.scrollIntoView({ block: 'nearest' });
}

/** A problem (RFC 9457) in words: each reason, or what it is in general. */
export function wordsOf({ body }) {
  return body?.errors?.map(({ detail }) => detail) ?? [body?.title ?? texts.failed];
}

/** Runs `work` when the form is sent, once at a time; whatever goes wrong is said. */
export function onSubmit(form, work) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const buttons = form.querySelectorAll('button');
    const fields = Object.fromEntries(new FormData(form, event.submitter ?? undefined));
    void during(buttons, () => work(fields));
  });
}

export function onClick(button, work) {
  button.addEventListener('click', () => { void during([button], work); });
}

async function during(buttons, work) {
  for (const button of buttons) button.disabled = true;
  try {
    await work();
  } catch {
    say(texts.failed, true);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}
