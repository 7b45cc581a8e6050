import { context, propagation } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { ExportResultCode, W3CTraceContextPropagator, type ExportResult } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { TracerProvider, BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { TraceSettings } from '../trace-settings.js';
import { VERSION } from '../version.js';
import type { Logger } from './logger.js';
import { soon } from './soon.js';
import { traceWith } from './tracing.js';

/** Spans wait in memory, so many at most: when the collector is away the others are dropped, and nobody waits. */
const MOST_WAITING = 4_096;
const BATCH = 512;
/** All that waits, at the end. */
const MOST_AT_ONCE = MOST_WAITING / BATCH + 1;
const EVERY_MS = 1_000;
const EXPORT_MS = 10_000;
/** What is not out by then is lost. */
const FLUSH_MS = 2_000;

export interface TraceExport {
  /** Sends what is left, and stops tracing. */
  close(): Promise<void>;
}

/** Traces from now on, and exports by OTLP over HTTP in JSON. Loaded only where that is wanted. */
export function startTracing({ url, headers, caFile, serviceName, attributes, ratio }: TraceSettings, role: string, logger: Logger): TraceExport {
  const exporter = new OTLPTraceExporter({
    url, headers, timeoutMillis: EXPORT_MS, concurrencyLimit: MOST_AT_ONCE,
    httpAgentOptions: { keepAlive: true, ...(caFile !== undefined && { ca: readFileSync(caFile) }) },
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ ...attributes, 'service.name': serviceName, 'service.version': VERSION, 'service.instance.id': `${hostname()}/${String(process.pid)}`, 'healthvision.role': role }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter: telling(exporter, logger), maxQueueSize: MOST_WAITING, maxExportBatchSize: BATCH, scheduledDelayMillis: EVERY_MS, exportTimeoutMillis: EXPORT_MS })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  // Not `tracestate`, nor baggage: what callers write there is theirs, and may name anybody.
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  traceWith(provider.getTracer('healthvision', VERSION));
  return {
    close: async () => {
      traceWith(undefined);
      await soon(provider.shutdown(), FLUSH_MS);
      context.disable();
      propagation.disable();
    },
  };
}

/** Says once that nothing gets out, and once that it does again. */
function telling(exporter: SpanExporter, logger: Logger): SpanExporter {
  let isAway = false;
  return {
    export: (spans: ReadableSpan[], done: (result: ExportResult) => void) => {
      exporter.export(spans, (result) => {
        const failed = result.code !== ExportResultCode.SUCCESS;
        if (failed !== isAway) logger[failed ? 'warn' : 'info']({ err: result.error, spans: spans.length }, failed ? 'traces cannot be exported' : 'traces are exported again');
        isAway = failed;
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
