import { csrfToken } from './csrf.mjs';

/** What the scripts of the pages share. The words come with the page, in the reader's language. */
export const texts = JSON.parse(document.getElementById('texts').textContent);

const message = document.getElementById('message');

/** Calls the API with the cookie; what changes something carries the token that goes with it, and the tag of what was seen where somebody else may have changed it. */
export async function call(method, path, body, { ifMatch, idempotencyKey } = {}) {
  const token = csrfToken();
  const headers = { 'Accept': 'application/json', 'Accept-Language': document.documentElement.lang, ...(body !== undefined && { 'Content-Type': 'application/json' }), ...(token !== undefined && { 'X-CSRF-Token': token }), ...(ifMatch !== undefined && { 'If-Match': ifMatch }), ...(idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey }) };
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  return { ok: response.ok, status: response.status, etag: response.headers.get('ETag') ?? undefined, body: text === '' ? undefined : JSON.parse(text) };
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

/** An element with its properties and what it holds. All values become text nodes or attributes: nothing that a study says is HTML. */
export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== ''));
  return made;
}

/** Puts values into a text: `{count} images`. */
export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}
