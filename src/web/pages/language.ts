// For its additions to Fastify's types.
import type {} from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Language } from '../../kernel/errors.js';
import { languageOf } from '../../platform/http/problem.js';

/** What the reader chose on a page, for a year; whoever chose nothing gets what their browser asks for. */
const COOKIE = 'hv_language';
const YEAR_SECONDS = 31_536_000;
const PARAMETER = 'lang';
const HERE = 'http://here.invalid';

export function pageLanguage({ cookies, headers }: FastifyRequest): Language {
  const chosen = cookies[COOKIE];
  return chosen === 'en' || chosen === 'zh-CN' ? chosen : languageOf(headers['accept-language']);
}

/** Of a link to the same page in another language. */
export function linkInLanguage({ url }: FastifyRequest, language: Language): string {
  const { pathname, searchParams } = new URL(url, HERE);
  searchParams.set(PARAMETER, language);
  return `${pathname}?${searchParams.toString()}`;
}

/** Remembers the language that a link has chosen and leads back to the page; false when it chose none. */
export function choosesLanguage(request: FastifyRequest, reply: FastifyReply): boolean {
  const { pathname, searchParams } = new URL(request.url, HERE);
  const chosen = searchParams.get(PARAMETER);
  if (chosen !== 'en' && chosen !== 'zh-CN') return false;
  searchParams.delete(PARAMETER);
  const query = searchParams.toString();
  void reply.setCookie(COOKIE, chosen, { path: '/', sameSite: 'strict', maxAge: YEAR_SECONDS, httpOnly: true });
  void reply.redirect(query === '' ? pathname : `${pathname}?${query}`, 303);
  return true;
}
