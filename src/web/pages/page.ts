import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Language } from '../../kernel/errors.js';
import { speaks } from '../../platform/http/representation.js';
import { html, json, type Html } from './html.js';
import { choosesLanguage, linkInLanguage, pageLanguage } from './language.js';
import { TEXTS, type Texts } from './texts.js';

/** Only what we serve runs and is loaded; nothing frames us, and forms go nowhere else. Pictures of QR codes come with the answer. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

export interface PageContent {
  title: (texts: Texts) => string;
  body: (texts: Texts, language: Language) => Html;
  /** Of `web/assets`, without its extension. */
  script: string;
  /** Default: `narrow`. */
  width?: 'narrow' | 'wide' | 'full';
  /** Words for the script, beside those that every script gets. */
  scriptTexts?: Readonly<Record<Language, Readonly<Record<string, unknown>>>>;
  /** Where the keyboard's way may begin behind what all pages have: an element's id. */
  skipTo?: string;
}

/** Answers with a page in the language of the reader. */
export function answerPage(request: FastifyRequest, reply: FastifyReply, content: PageContent, status = 200): void {
  if (choosesLanguage(request, reply)) return;
  const language = pageLanguage(request);
  speaks(reply, language);
  void reply.status(status).headers({
    'Content-Security-Policy': POLICY,
    'Cache-Control': 'no-store',
    // With `no-referrer` the browser would not say in `Origin` that a form is ours.
    'Referrer-Policy': 'same-origin',
  }).type('text/html; charset=utf-8').send(documentOf(request, language, content));
}

const OTHER: Readonly<Record<Language, { language: Language; name: string }>> = { 'en': { language: 'zh-CN', name: '中文' }, 'zh-CN': { language: 'en', name: 'English' } };

function documentOf(request: FastifyRequest, language: Language, { title, body, script, width = 'narrow', scriptTexts, skipTo }: PageContent): string {
  const texts = TEXTS[language];
  const other = OTHER[language];
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title(texts)} · HealthVision</title>
<link rel="stylesheet" href="/assets/pages.css">
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<script type="module" src="/assets/${script}.mjs"></script>
</head>
<body>
${skipTo === undefined ? '' : html`<a class="skip" href="#${skipTo}">${texts.skip}</a>`}
<header class="top"><img src="/assets/icon.svg" alt="" width="28" height="28"><span>HealthVision</span><a class="language" href="${linkInLanguage(request, other.language)}" lang="${other.language}" hreflang="${other.language}">${other.name}</a></header>
<main class="${width}">
${body(texts, language)}
<noscript><p class="message error">${texts.needsScript}</p></noscript>
</main>
<script type="application/json" id="texts">${json({ ...texts.script, ...scriptTexts?.[language] })}</script>
</body>
</html>
`.text;
}
