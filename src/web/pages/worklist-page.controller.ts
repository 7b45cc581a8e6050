import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Authenticator, Public } from '../../platform/http/access.js';
import { html, type Html } from './html.js';
import { answerPage } from './page.js';
import { readerOf } from './reader.js';
import { WORKLIST_TEXTS, type WorklistTexts } from './worklist-texts.js';

/** What people open first: the studies and what was found in them. The page holds none of them; its script asks the API. */
@ApiExcludeController()
@Public()
@Controller()
export class WorklistPageController {
  constructor(private readonly authenticator: Authenticator) {}

  @Get()
  async worklist(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (!(await readerOf(this.authenticator, request, reply))) return;
    answerPage(request, reply, {
      title: ({ worklist }) => worklist,
      script: 'worklist',
      width: 'full',
      skipTo: 'studies',
      scriptTexts: { 'en': WORKLIST_TEXTS.en.script, 'zh-CN': WORKLIST_TEXTS['zh-CN'].script },
      body: (texts, language) => {
        const own = WORKLIST_TEXTS[language];
        return html`<div class="heading"><h1>${texts.worklist}</h1><p id="who" class="hint"></p>
<nav aria-label="${own.elsewhere}"><a href="/docs">${texts.api}</a> <a href="/account">${texts.account}</a> <button id="sign-out" type="button">${texts.signOut}</button></nav></div>
<div id="message" role="alert" tabindex="-1"></div>
${filters(own)}
<p id="status" role="status"><span></span><span aria-hidden="true"></span></p>
${table(own)}
<div class="paging"><button id="newer" type="button" disabled>${own.newer}</button> <button id="older" type="button" disabled>${own.older}</button> <span class="hint">${own.keys}</span></div>`;
      },
    });
  }
}

function filters(texts: WorklistTexts): Html {
  return html`<form id="filters" class="filters" role="search" aria-label="${texts.filters}">
<div class="field grows"><label for="text">${texts.text}</label><input id="text" name="text" type="search" maxlength="64" autocomplete="off" spellcheck="false" placeholder="${texts.textHint}"></div>
${choice('modality', texts.modality, texts.any, ['CT', 'MR', 'DX', 'CR', 'PT', 'US', 'NM', 'MG'].map((modality) => [modality, modality]))}
<div class="field"><label for="from">${texts.from}</label><input id="from" name="studyDateFrom" type="date"></div>
<div class="field"><label for="to">${texts.to}</label><input id="to" name="studyDateTo" type="date"></div>
${choice('state', texts.state, texts.any, Object.entries(texts.script.states))}
${choice('analysisStatus', texts.analysis, texts.any, Object.entries(texts.script.runs))}
${choice('resultStatus', texts.review, texts.any, Object.entries(texts.script.reviews))}
${choice('sort', texts.sort, texts.newestReceived, [['study-date', texts.newestStudyDate]], 'wider')}
<label class="check"><input type="checkbox" name="critical" value="true"> ${texts.criticalOnly}</label>
<div class="buttons"><button class="primary">${texts.search}</button><button type="reset">${texts.reset}</button></div>
</form>`;
}

function choice(name: string, label: string, otherwise: string, options: readonly (readonly [value: string, text: string])[], width = ''): Html {
  return html`<div class="field ${width}"><label for="${name}">${label}</label><select id="${name}" name="${name}"><option value="">${otherwise}</option>${options.map(([value, text]) => html`<option value="${value}">${text}</option>`)}</select></div>`;
}

function table(texts: WorklistTexts): Html {
  const columns = [texts.urgency, texts.patient, texts.study, texts.modality, texts.description, texts.findings, texts.analysis, texts.review];
  return html`<div class="scrolls" role="region" aria-label="${texts.studies}" tabindex="-1" id="studies"><table class="worklist" aria-describedby="status">
<thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}<th scope="col"><span class="unseen">${texts.more}</span></th></tr></thead>
<tbody id="rows"></tbody>
</table></div>`;
}
