import { Inject, Injectable } from '@nestjs/common';
import type { Bundle, Resource } from '@medplum/fhirtypes';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import type { Principal } from '../../../platform/http/access.js';
import { languageOf } from '../../../platform/http/problem.js';
import { matches, speaks } from '../../../platform/http/representation.js';
import { mayRead, requireReading } from './access.js';
import { collection, requireJson, searchset, SPEECHLESS, type FhirCall, type FhirResources } from './exchange.js';
import { ImagingStudyResources, PatientResources } from './image-resources.js';
import { CONTENT_TYPE } from './outcome.js';
import { DeviceResources, ResultResources } from './result-resources.js';
import { FhirSearch } from './search.js';
import { INCLUDES, isFhirType, type FhirType } from './search-parameters.js';

/** A request and its answer. */
export interface HttpExchange {
  principal: Principal;
  request: FastifyRequest;
  reply: FastifyReply;
}

/** Answers reads and searches of FHIR R4. @see https://hl7.org/fhir/R4/http.html */
@Injectable()
export class FhirService {
  constructor(
    private readonly patients: PatientResources,
    private readonly studies: ImagingStudyResources,
    private readonly results: ResultResources,
    private readonly devices: DeviceResources,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * @returns undefined when the caller has this version: the status is 304
   * @throws AppError `forbidden`, `not-found`, `not-acceptable`
   */
  async read(type: FhirType, id: string, exchange: HttpExchange): Promise<string | undefined> {
    const call = this.begin(exchange, queryOf(exchange.request));
    requireReading(exchange.principal, type, 'r');
    const resource = await this.resources(type).read(call, id);
    if (!resource) throw new AppError('not-found', { detail: `There is no such ${type}.` });
    return this.send(resource, type, call, exchange);
  }

  /**
   * @param query  of the URL or of a form
   * @throws AppError `forbidden`, `invalid-query`, `not-acceptable`
   */
  async search(type: FhirType, query: URLSearchParams, { principal, request, reply }: HttpExchange): Promise<string> {
    const call = this.begin({ principal, request, reply }, query);
    requireReading(principal, type, 's');
    const strict = /(?:^|[,;\s])handling\s*=\s*"?strict"?(?:$|[,;\s])/i.test(String(request.headers.prefer ?? ''));
    const asked = FhirSearch.parse(type, query, `${call.base}/fhir`, strict);
    const search = type === 'Patient' ? await this.patients.resolve(call, asked) : type === 'ImagingStudy' ? await this.studies.resolve(call, asked) : asked;
    const found = await this.resources(type).search(call, search);
    const included = await this.included(search, found.resources, call, principal);
    speaks(reply, call.language);
    void reply.header('Content-Type', CONTENT_TYPE);
    return JSON.stringify(searchset(call.base, search, found, included, new Date()));
  }

  /**
   * Everything of one result, as far as the caller may see it.
   *
   * @throws AppError `result-not-found`, `result-withheld`
   */
  async resultBundle(id: string, { principal, request, reply }: HttpExchange): Promise<string | undefined> {
    const call = this.begin({ principal, request, reply }, new URLSearchParams());
    const found = await this.results.whole(call, id);
    const { study, updatedAt } = found.result;
    const around = await Promise.all([
      mayRead(principal, 'ImagingStudy', 'r') ? this.studies.read(call, study.id) : undefined,
      mayRead(principal, 'Patient', 'r') && study.patientId !== null ? this.patients.read(call, study.patientId) : undefined,
    ]);
    const own = found.resources.filter(({ resourceType }) => isFhirType(resourceType) && mayRead(principal, resourceType, 'r'));
    speaks(reply, call.language);
    void reply.header('Content-Type', CONTENT_TYPE);
    const bundle: Bundle = collection(call.base, id, updatedAt, [...own, ...around.filter((resource) => resource !== undefined)]);
    return JSON.stringify(bundle);
  }

  /** `https://host`, as the caller or PUBLIC_URL has it. */
  baseOf({ protocol, host }: Pick<FastifyRequest, 'protocol' | 'host'>): string {
    return this.config.PUBLIC_URL ?? `${protocol}://${host}`;
  }

  private begin({ principal, request, reply }: HttpExchange, query: URLSearchParams): FhirCall {
    const vary = reply.getHeader('Vary');
    void reply.header('Vary', vary === undefined ? 'Accept' : `${String(vary)}, Accept`);
    requireJson(request.headers.accept, query.get('_format'));
    return {
      institutionId: principal.institutionId, base: this.baseOf(request), language: languageOf(request.headers['accept-language']),
      note: (note) => { noteForAudit(request, note); },
    };
  }

  private resources(type: FhirType): FhirResources {
    switch (type) {
      case 'Patient': return this.patients;
      case 'ImagingStudy': return this.studies;
      case 'Device': return this.devices;
      default: return this.results.of(type);
    }
  }

  /** Each once, of the types that the caller may read. */
  private async included({ includes, type }: FhirSearch, resources: readonly Resource[], call: FhirCall, principal: Principal): Promise<Resource[]> {
    const types = new Set(includes.flatMap((name) => INCLUDES[type][name] ?? []).filter((target) => mayRead(principal, target, 'r')));
    const found: Resource[] = [];
    for (const target of types) {
      const ids = new Set(resources.flatMap((resource) => referencesIn(resource, target)));
      found.push(...(await this.resources(target).readAll(call, [...ids])));
    }
    return found;
  }

  private send(resource: Resource, type: FhirType, { language }: FhirCall, { request, reply }: HttpExchange): string | undefined {
    const { versionId = '', lastUpdated } = resource.meta ?? {};
    // What is in Chinese is another representation of the same version.
    const tag = `"${versionId}${language === 'en' || SPEECHLESS.has(type) ? '' : `-${language}`}"`;
    void reply.header('ETag', `W/${tag}`).header('Cache-Control', 'private, no-cache');
    speaks(reply, language);
    if (lastUpdated !== undefined) void reply.header('Last-Modified', new Date(lastUpdated).toUTCString());
    if (matches(request.headers['if-none-match'], tag)) {
      void reply.status(304);
      return undefined;
    }
    void reply.header('Content-Type', CONTENT_TYPE);
    return JSON.stringify(resource);
  }
}

/** Ids of resources of a type that a resource refers to, wherever. */
function referencesIn(node: unknown, type: FhirType): string[] {
  if (typeof node !== 'object' || node === null) return [];
  if ('reference' in node && typeof node.reference === 'string') return node.reference.startsWith(`${type}/`) ? [node.reference.slice(type.length + 1)] : [];
  return Object.values(node).flatMap((member) => referencesIn(member, type));
}

export function queryOf({ url }: Pick<FastifyRequest, 'url'>): URLSearchParams {
  const [, text = ''] = /\?(.*)$/s.exec(url) ?? [];
  return new URLSearchParams(text);
}
