import { Controller, Get, Query, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Public } from '../../platform/http/access.js';
import { html, type Html } from './html.js';
import { answerPage } from './page.js';
import type { Texts } from './texts.js';

const signInQuery = z.object({ fault: z.string().optional().catch(undefined), ended: z.string().optional().catch(undefined), next: z.string().max(2_000).optional().catch(undefined) });
const linkQuery = z.object({ token: z.string().max(200).optional().catch(undefined) });

/** What people see who are not signed in. The rules are the API's: these pages only ask it. */
@ApiExcludeController()
@Public()
@Controller()
export class SignInPagesController {
  @Get('login')
  signIn(@Query({ schema: signInQuery }) { fault, ended, next }: z.infer<typeof signInQuery>, @Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    const asksForCode = fault === 'code';
    answerPage(request, reply, {
      title: ({ signIn }) => signIn,
      script: 'login',
      body: (texts) => html`<h1>${texts.signIn}</h1>
<div id="message" role="alert" tabindex="-1">${fault === undefined ? '' : html`<p class="message error">${asksForCode ? texts.codeNeeded : texts.refused}</p>`}</div>
${ended === undefined ? '' : html`<p class="message" role="status">${texts.ended}</p>`}
<form id="login" method="post" action="/session">
${field('email', texts.email, { type: 'email', autocomplete: 'username' })}
${field('password', texts.password, { type: 'password', autocomplete: 'current-password' })}
<div id="code-field"${asksForCode ? '' : html` hidden`}>${codeField(texts.code, texts.codeHint, false)}</div>
<input type="hidden" name="next" value="${next ?? ''}">
<button class="primary">${texts.signIn}</button>
</form>
<p><a href="/password-reset">${texts.forgotten}</a></p>`,
    });
  }

  @Get('invitation')
  invitation(@Query({ schema: linkQuery }) { token }: z.infer<typeof linkQuery>, @Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    answerPage(request, reply, { title: ({ welcome }) => welcome, script: 'choose-password', body: (texts) => html`<h1>${texts.welcome}</h1>${choosePassword(texts, texts.welcomeHint, token, 'invitation')}` });
  }

  @Get('password-reset')
  passwordReset(@Query({ schema: linkQuery }) { token }: z.infer<typeof linkQuery>, @Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    if (token !== undefined) {
      answerPage(request, reply, { title: ({ resetTitle }) => resetTitle, script: 'choose-password', body: (texts) => html`<h1>${texts.resetTitle}</h1>${choosePassword(texts, texts.resetHint, token, 'password-reset')}` });
      return;
    }
    answerPage(request, reply, {
      title: ({ askTitle }) => askTitle,
      script: 'ask-reset',
      body: (texts) => html`<h1>${texts.askTitle}</h1>
<p>${texts.askHint}</p>
<div id="message" role="alert" tabindex="-1"></div>
<form id="ask" method="post">
${field('email', texts.email, { type: 'email', autocomplete: 'username' })}
<button class="primary">${texts.ask}</button>
</form>
<p><a href="/login">${texts.back}</a></p>`,
    });
  }
}

function choosePassword(texts: Texts, hint: string, token: string | undefined, purpose: string): Html {
  if (token === undefined) return html`<p class="message error" role="alert">${texts.noLink}</p>`;
  return html`<p>${hint}</p>
<div id="message" role="alert" tabindex="-1"></div>
<form id="choose" method="post" data-token="${token}" data-purpose="${purpose}">
${field('password', texts.newPassword, { type: 'password', autocomplete: 'new-password', hint: texts.passwordHint })}
${field('repeated', texts.repeatPassword, { type: 'password', autocomplete: 'new-password' })}
<button class="primary">${texts.save}</button>
</form>
<p><a href="/login">${texts.back}</a></p>`;
}

interface FieldOptions { type: 'email' | 'password' | 'text'; autocomplete: string; hint?: string; id?: string }

/** A labelled field; what is said about it is tied to it for those who do not see it. */
export function field(name: string, label: string, { type, autocomplete, hint, id = name }: FieldOptions): Html {
  return html`<div class="field"><label for="${id}">${label}</label><input id="${id}" name="${name}" type="${type}" autocomplete="${autocomplete}" required${hint === undefined ? '' : html` aria-describedby="${id}-hint"`}>${hint === undefined ? '' : html`<p class="hint" id="${id}-hint">${hint}</p>`}</div>`;
}

export function codeField(label: string, hint: string, required: boolean, id = 'otp', name = 'otp'): Html {
  return html`<div class="field"><label for="${id}">${label}</label><input id="${id}" name="${name}" type="text" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" maxlength="40" aria-describedby="${id}-hint"${required ? html` required` : ''}><p class="hint" id="${id}-hint">${hint}</p></div>`;
}
