import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

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
  readonly activeRuns = new Gauge({ name: 'healthvision_analysis_active_runs', help: 'Analyses that this process computes now', registers: [this.registry] });
  readonly providerFallbacks = new Counter({ name: 'healthvision_provider_fallbacks_total', help: 'Sessions that fell back to a later execution provider', labelNames: ['wanted', 'used'], registers: [this.registry] });
  readonly signIns = new Counter({ name: 'healthvision_sign_ins_total', help: 'Token requests by outcome', labelNames: ['grant', 'outcome'], registers: [this.registry] });
  readonly mails = new Counter({ name: 'healthvision_mails_total', help: 'E-mails by kind and outcome', labelNames: ['kind', 'outcome'], registers: [this.registry] });
  readonly accessRefusals = new Counter({ name: 'healthvision_access_refusals_total', help: 'Requests refused with 401 or 403, by what the caller is or showed', labelNames: ['status', 'kind'], registers: [this.registry] });
  readonly crossings = new Counter({ name: 'healthvision_institution_crossings_total', help: 'Requests of platform administrators in another institution, and attempts at it, by outcome', labelNames: ['outcome'], registers: [this.registry] });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }
}
