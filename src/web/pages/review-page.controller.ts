import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isUuid } from '../../kernel/uid.js';
import { REJECTION_REASONS } from '../../imaging/report/finding.js';
import { Authenticator, Public } from '../../platform/http/access.js';
import { html, type Html } from './html.js';
import { answerPage } from './page.js';
import { readerOf } from './reader.js';
import { REVIEW_TEXTS, type ReviewTexts } from './review-texts.js';

/** Where a person judges, corrects and signs a result. The page holds nothing of it; its script asks the API. */
@ApiExcludeController()
@Public()
@Controller('review')
export class ReviewPageController {
  constructor(private readonly authenticator: Authenticator) {}

  /** Of what is no id of ours, the script finds no result, as of one that is somebody else's. */
  @Get(':id')
  async review(@Param('id') id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (!(await readerOf(this.authenticator, request, reply))) return;
    answerPage(request, reply, {
      title: ({ review }) => review,
      script: 'review',
      width: 'wide',
      skipTo: 'review',
      scriptTexts: { 'en': REVIEW_TEXTS.en.script, 'zh-CN': REVIEW_TEXTS['zh-CN'].script },
      body: (texts, language) => {
        const own = REVIEW_TEXTS[language];
        return html`<div class="heading"><h1>${texts.review}</h1><nav aria-label="${own.elsewhere}"><a href="/">${texts.worklist}</a> <a id="images" hidden>${own.images}</a> <a id="pdf" hidden>${own.pdf}</a></nav></div>
<div id="message" role="alert" tabindex="-1"></div>
<div id="review" tabindex="-1" data-result="${isUuid(id) ? id : ''}"><div id="result" hidden>
<section aria-labelledby="analysis"><h2 id="analysis"></h2><p id="patient"></p><p id="standing"></p><p id="summary"></p><div id="warnings"></div><p id="model" class="hint"></p></section>
<p id="reading-only" class="message" hidden>${own.readingOnly}</p>
<form id="missed-form" method="post"></form>
<form id="decisions" method="post">
<section id="found" aria-labelledby="found-title"><h2 id="found-title">${own.findings}</h2><div id="findings"></div>${missed(own)}</section>
<section id="labelled" aria-labelledby="labelled-title"><h2 id="labelled-title">${own.labels}</h2><div id="labels"></div></section>
<section id="segmented" aria-labelledby="segmented-title"><h2 id="segmented-title">${own.segments}</h2><div id="segments"></div></section>
<div id="save" class="saves"><button class="primary">${own.save}</button> <span id="pending" role="status"></span></div>
</form>
${signing(own)}
${amending(own)}
<section aria-labelledby="history-title"><h2 id="history-title">${own.history}</h2><ul id="history"></ul></section>
</div></div>
<template id="reasons"><option value="">${own.choose}</option>${REJECTION_REASONS.map((reason) => html`<option value="${reason}">${own.reasons[reason]}</option>`)}</template>`;
      },
    });
  }
}

function missed(texts: ReviewTexts): Html {
  return html`<details id="missed"><summary>${texts.add}</summary>
<div class="field"><label for="missed-diameter">${texts.diameter}</label><input id="missed-diameter" form="missed-form" type="number" min="0.1" max="500" step="any"></div>
<div class="field"><label for="missed-comment">${texts.where}</label><input id="missed-comment" form="missed-form" maxlength="2000" autocomplete="off"></div>
<button form="missed-form">${texts.addNow}</button></details>`;
}

function signing(texts: ReviewTexts): Html {
  return html`<section id="signing" aria-labelledby="signing-title"><h2 id="signing-title">${texts.sign}</h2><p class="hint">${texts.signHint}</p>
<form id="sign" method="post">
<input id="username" type="hidden" autocomplete="username">
<div class="field"><label for="meaning">${texts.meaning}</label><select id="meaning" name="meaning"><option value="approved">${texts.meanings.approved}</option><option value="reviewed">${texts.meanings.reviewed}</option><option value="responsible">${texts.meanings.responsible}</option></select></div>
<div class="field"><label for="statement">${texts.statement}</label><input id="statement" name="statement" maxlength="2000" autocomplete="off"></div>
<div class="field"><label for="password">${texts.password}</label><input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024"></div>
<div class="field"><label for="code">${texts.code}</label><input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="64"></div>
<button class="primary">${texts.signNow}</button>
</form></section>`;
}

function amending(texts: ReviewTexts): Html {
  return html`<section id="amending" aria-labelledby="amending-title"><h2 id="amending-title">${texts.amend}</h2><p class="hint">${texts.amendHint}</p>
<form id="amend" method="post">
<div class="field"><label for="reason">${texts.amendReason}</label><input id="reason" name="reason" required minlength="3" maxlength="2000" autocomplete="off"></div>
<button>${texts.amendNow}</button>
</form></section>`;
}
