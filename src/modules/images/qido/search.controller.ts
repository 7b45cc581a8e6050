import { applyDecorators, Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import { ApiQuery, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { studiesUrlOf } from '../stow-response.js';
import { uidParameter } from '../studies-json.js';
import { searchMediaType } from './accept.js';
import { parseSearchQuery } from './query.js';
import type { SearchTarget } from './search-plan.js';
import { SearchService } from './search.service.js';

const results = z.array(z.record(z.string(), z.unknown())).meta({ id: 'DicomJsonResults', description: 'DICOM JSON Model (PS3.18 Annex F), one data set for each result' });

const EXAMPLES = {
  studies: [{
    '00080020': { vr: 'DA', Value: ['20261121'] }, '00080061': { vr: 'CS', Value: ['CT'] }, '00081190': { vr: 'UR', Value: ['https://host/dicom-web/studies/1.2.840.113619.2.55.1'] },
    '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Example^Eve' }] }, '00100020': { vr: 'LO', Value: ['P-1024'] }, '0020000D': { vr: 'UI', Value: ['1.2.840.113619.2.55.1'] },
  }],
  series: [{ '00080060': { vr: 'CS', Value: ['CT'] }, '0020000E': { vr: 'UI', Value: ['1.2.840.113619.2.55.1.1'] }, '00201209': { vr: 'IS', Value: [250] } }],
  instances: [{ '00080018': { vr: 'UI', Value: ['1.2.840.113619.2.55.1.1.1'] }, '00200013': { vr: 'IS', Value: [1] } }],
};

const DESCRIPTION = `QIDO-RS, PS3.18 §10.6. Any attribute is matched by its keyword or tag, in sequences by a path such as \`RequestAttributesSequence.ScheduledProcedureStepID\`: single values, \
lists of UIDs, ranges of dates and times (\`20260101-\`; a date and a time of one form are one range), \`*\` and \`?\`. Names match whatever their case and accents, in each of their component groups. \
Encrypted attributes are found by an index of fingerprints; a pattern on them needs a known beginning or three known characters in a row (two in Chinese, Japanese and Korean), else the answer is 400. \
\`fuzzymatching\` finds names by words in any order, by their beginnings and by their sound. Nothing found is an empty list. The Warning header tells what was not done as asked.`;

/** Swagger UI shows these; any other attribute is taken as well. */
const PARAMETERS = [
  ['includefield', 'Attributes to return beside the usual ones: keywords, tags, paths separated by commas, or `all`'], ['PatientName', 'For example `DOE*`'], ['PatientID', 'Exactly this, or a pattern'], ['StudyDate', '`YYYYMMDD` or a range'],
  ['AccessionNumber', 'Exactly this, or a pattern'], ['ModalitiesInStudy', 'For example `CT`'], ['StudyInstanceUID', 'One UID or several separated by commas'],
] as const;

const search = (id: string, summary: string, example: unknown, isBelow = false): MethodDecorator => applyDecorators(
  Operation({
    id, summary, description: DESCRIPTION,
    answers: { 200: { description: 'What matches', mediaType: 'application/dicom+json', schema: results, example, headers: { Warning: '299 and what was not done as asked, or that there is more' } } },
    problems: ['invalid-query', 'unsupported-matching', 'not-acceptable', ...(isBelow ? ['not-found' as const] : [])],
  }),
  ApiQuery({ name: 'limit', description: 'Results at most; 100 without it, below a study all', required: false, schema: { type: 'integer', minimum: 0 } }),
  ApiQuery({ name: 'offset', description: 'Results to skip', required: false, schema: { type: 'integer', minimum: 0, default: 0 } }),
  ApiQuery({ name: 'fuzzymatching', description: '`true`: names also by word and sound', required: false, schema: { type: 'boolean', default: false } }),
  ...PARAMETERS.map(([name, description]) => ApiQuery({ name, description, required: false, schema: { type: 'string' } })),
);

@ApiTags('dicomweb')
@Controller('dicom-web')
export class SearchController {
  constructor(
    private readonly searches: SearchService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('studies')
  @RequirePermission('images:read')
  @search('searchStudies', 'Search for studies', EXAMPLES.studies)
  studies(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<string> {
    return this.answer(request, reply, { institutionId, level: 'study' });
  }

  @Get('series')
  @RequirePermission('images:read')
  @search('searchSeries', 'Search for series', EXAMPLES.series)
  series(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<string> {
    return this.answer(request, reply, { institutionId, level: 'series' });
  }

  @Get('instances')
  @RequirePermission('images:read')
  @search('searchInstances', 'Search for instances', EXAMPLES.instances)
  instances(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<string> {
    return this.answer(request, reply, { institutionId, level: 'instance' });
  }

  @Get('studies/:study/series')
  @RequirePermission('images:read')
  @search('searchSeriesOfStudy', 'Search for series of a study', EXAMPLES.series, true)
  seriesOfStudy(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string,
    @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<string> {
    return this.answer(request, reply, { institutionId, level: 'series', studyInstanceUid });
  }

  @Get('studies/:study/instances')
  @RequirePermission('images:read')
  @search('searchInstancesOfStudy', 'Search for instances of a study', EXAMPLES.instances, true)
  instancesOfStudy(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string,
    @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<string> {
    return this.answer(request, reply, { institutionId, level: 'instance', studyInstanceUid });
  }

  @Get('studies/:study/series/:series/instances')
  @RequirePermission('images:read')
  @search('searchInstancesOfSeries', 'Search for instances of a series', EXAMPLES.instances, true)
  instancesOfSeries(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string,
    @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<string> {
    return this.answer(request, reply, { institutionId, level: 'instance', studyInstanceUid, seriesInstanceUid });
  }

  private async answer(request: FastifyRequest, reply: FastifyReply, target: SearchTarget): Promise<string> {
    const [, text = ''] = /\?(.*)$/s.exec(request.url) ?? [];
    const query = parseSearchQuery(text);
    const mediaType = searchMediaType(query.accept ?? request.headers.accept);
    if (mediaType === undefined) throw new AppError('not-acceptable', { detail: 'Searches are answered in application/dicom+json.' });
    const studiesUrl = studiesUrlOf({ publicUrl: this.config.PUBLIC_URL, protocol: request.protocol, host: request.host });
    const { body, warnings, studyInstanceUids } = await this.searches.search(target, query, studiesUrl);
    noteForAudit(request, { studyInstanceUids });
    // PS3.18 §8.3.4 gives the header this form, with the URL of the service for the agent.
    if (warnings.length > 0) void reply.header('Warning', warnings.map((warning) => `299 ${studiesUrl.replace(/\/studies$/, '')}: ${warning}`));
    const vary = reply.getHeader('Vary');
    void reply.header('Content-Type', `${mediaType}; charset=utf-8`).header('Vary', vary === undefined ? 'Accept' : `${String(vary)}, Accept`);
    return body;
  }
}
