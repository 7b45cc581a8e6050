import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { CacheRequests } from './cache-requests.js';
import { PoolConnections } from './pool-connections.js';
import { RecentlySeen } from './recently-seen.js';

/** The process's Prometheus registry. Labels are bounded: route templates, codes, names of analyses; never ids or PHI. */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  readonly httpDuration = new Histogram({
    name: 'healthvision_http_request_duration_seconds', help: 'Duration of HTTP requests by route template',
    labelNames: ['method', 'route', 'status'], buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60], registers: [this.registry],
  });
  readonly ingestedInstances = new Counter({ name: 'healthvision_ingest_instances_total', help: 'Files received by outcome', labelNames: ['outcome'], registers: [this.registry] });
  readonly ingestedBytes = new Counter({ name: 'healthvision_ingest_bytes_total', help: 'Bytes of stored instances', registers: [this.registry] });
  readonly dimseAssociations = new Counter({ name: 'healthvision_dimse_associations_total', help: 'DIMSE association requests by outcome', labelNames: ['outcome'], registers: [this.registry] });
  readonly openDimseAssociations = new Gauge({ name: 'healthvision_dimse_open_associations', help: 'DIMSE associations that are open now', registers: [this.registry] });
  readonly dimseRequests = new Counter({ name: 'healthvision_dimse_requests_total', help: 'DIMSE requests by operation and status', labelNames: ['operation', 'status'], registers: [this.registry] });
  readonly runs = new Counter({ name: 'healthvision_analysis_runs_total', help: 'Ended analyses by outcome', labelNames: ['analysis', 'outcome'], registers: [this.registry] });
  readonly runDuration = new Histogram({
    name: 'healthvision_analysis_stage_duration_seconds', help: 'Duration of the stages of a run',
    labelNames: ['analysis', 'stage'], buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1200], registers: [this.registry],
  });
  readonly runWait = new Histogram({
    name: 'healthvision_analysis_wait_seconds', help: 'How long a run waited for a worker, by priority',
    labelNames: ['priority'], buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 1200, 3600, 14_400], registers: [this.registry],
  });
  readonly batchSize = new Histogram({
    name: 'healthvision_analysis_batch_size', help: 'Images of different runs that went through a network together',
    buckets: [1, 2, 4, 8, 16, 32], registers: [this.registry],
  });
  readonly withheldResults = new Counter({ name: 'healthvision_results_withheld_total', help: 'Results that the gate refused, by the check that found fault', labelNames: ['check'], registers: [this.registry] });
  readonly strangeInputs = new Counter({ name: 'healthvision_strange_inputs_total', help: 'Analysed inputs that the model found unlike the images that it was made with', labelNames: ['analysis', 'model'], registers: [this.registry] });
  readonly wholeRunDuration = new Histogram({
    name: 'healthvision_run_duration_seconds', help: 'Duration of runs from their first claim to their end, tries and the waits between them included, by outcome',
    labelNames: ['analysis', 'outcome'], buckets: [0.1, 0.5, 1, 2, 5, 15, 60, 300, 1200, 3600], registers: [this.registry],
  });
  readonly activeRuns = new Gauge({ name: 'healthvision_analysis_active_runs', help: 'Analyses that this process computes now', registers: [this.registry] });
  readonly providerFallbacks = new Counter({ name: 'healthvision_provider_fallbacks_total', help: 'Sessions that fell back to a later execution provider', labelNames: ['wanted', 'used'], registers: [this.registry] });
  readonly signIns = new Counter({ name: 'healthvision_sign_ins_total', help: 'Token requests by outcome', labelNames: ['grant', 'outcome'], registers: [this.registry] });
  readonly mails = new Counter({ name: 'healthvision_mails_total', help: 'E-mails by kind and outcome', labelNames: ['kind', 'outcome'], registers: [this.registry] });
  readonly crossings = new Counter({ name: 'healthvision_institution_crossings_total', help: 'Requests of platform administrators in another institution, and attempts at it, by outcome', labelNames: ['outcome'], registers: [this.registry] });
  readonly auditEvents = new Counter({ name: 'healthvision_audit_events_total', help: 'Audit events that this process wrote', labelNames: ['outcome'], registers: [this.registry] });
  readonly auditFailures = new Counter({ name: 'healthvision_audit_write_failures_total', help: 'Audit events that could not be written at once', registers: [this.registry] });
  readonly auditBacklog = new Gauge({ name: 'healthvision_audit_backlog_events', help: 'Audit events that wait for the database (AUDIT_FAILURE=queue)', registers: [this.registry] });
  readonly auditFaults = new Counter({ name: 'healthvision_audit_chain_faults_total', help: 'Faults that sealing the audit trail met: forged events, broken chains', labelNames: ['fault'], registers: [this.registry] });
  readonly accessRefusals = new Counter({ name: 'healthvision_access_refusals_total', help: 'Refused requests by reason (unauthenticated, forbidden, rate-limit) and what the caller is or showed', labelNames: ['reason', 'kind'], registers: [this.registry] });
  readonly rateLimited = new Counter({ name: 'healthvision_rate_limited_total', help: 'Requests beyond a rate limit by the kind of limit', labelNames: ['limit'], registers: [this.registry] });
  readonly rateLimitedPrincipals = new RecentlySeen('healthvision_rate_limited_principals', 'Principals that were beyond their rate limit in the last minute', 60_000, this.registry);
  readonly rateLimitStoreAway = new Gauge({ name: 'healthvision_rate_limit_store_away', help: '1 while the shared store of the rate limits is away and every process counts on its own', registers: [this.registry] });
  readonly activeUsers = new RecentlySeen('healthvision_active_users', 'Principals that made a request to this process in the last 15 minutes', 900_000, this.registry);

  readonly caches = new CacheRequests(this.registry);
  readonly databasePools = new PoolConnections(this.registry);

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }
}
