import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Authenticator, Public } from '../../platform/http/access.js';
import { html } from './html.js';
import { answerPage } from './page.js';
import { readerOf } from './reader.js';
import { codeField, field } from './sign-in-pages.controller.js';

/** A person's own affairs: password, second factor, sign-ins. The page holds nothing of them; its script asks the API. */
@ApiExcludeController()
@Public()
@Controller('account')
export class AccountPageController {
  constructor(private readonly authenticator: Authenticator) {}

  @Get()
  async account(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (!(await readerOf(this.authenticator, request, reply, { beforeSecondFactor: true }))) return;
    answerPage(request, reply, {
      title: ({ account }) => account,
      script: 'account',
      width: 'wide',
      body: (texts) => html`<div class="heading"><h1>${texts.account}</h1><p id="who" class="hint"></p>
<nav><a href="/">${texts.worklist}</a> <a href="/docs">${texts.api}</a> <button id="sign-out" type="button">${texts.signOut}</button></nav></div>
<div id="message" role="alert" tabindex="-1"></div>
<section aria-labelledby="factor-title"><h2 id="factor-title">${texts.secondFactor}</h2>
<p class="hint">${texts.secondFactorHint}</p>
<p id="factor-state" role="status"></p>
<button id="factor-start" type="button" hidden>${texts.setUp}</button>
<form id="factor-confirm" method="post" hidden>
<p>${texts.scan}</p>
<img id="factor-picture" alt="" width="220" height="220">
<p>${texts.key} <code id="factor-key"></code></p>
${codeField(texts.code, texts.confirmHint, true, 'confirm-code', 'code')}
<button class="primary">${texts.confirm}</button>
</form>
<div id="recovery" hidden><h3>${texts.recovery}</h3><p>${texts.recoveryHint}</p><ul id="recovery-codes"></ul></div>
<form id="factor-change" method="post" hidden>
${codeField(texts.codeOfApp, texts.codeHint, true, 'change-code', 'code')}
<div class="buttons"><button name="action" value="renew">${texts.renewCodes}</button><button name="action" value="remove" class="danger">${texts.remove}</button></div>
</form></section>
<section id="password-section" aria-labelledby="password-title"><h2 id="password-title">${texts.changePassword}</h2>
<form id="password" method="post">
${field('currentPassword', texts.currentPassword, { type: 'password', autocomplete: 'current-password' })}
${field('newPassword', texts.newPassword, { type: 'password', autocomplete: 'new-password', hint: texts.passwordHint })}
${field('repeated', texts.repeatPassword, { type: 'password', autocomplete: 'new-password' })}
<button class="primary">${texts.save}</button>
</form></section>
<section id="sessions-section" aria-labelledby="sessions-title"><h2 id="sessions-title">${texts.sessions}</h2>
<ul id="sessions"></ul>
<button id="end-others" type="button">${texts.endOthers}</button></section>`,
    });
  }
}
