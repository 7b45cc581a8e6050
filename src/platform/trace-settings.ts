import { z } from 'zod';

/** Where spans go, and how many. */
export interface TraceSettings {
  /** Takes OTLP/HTTP in JSON. */
  url: string;
  headers: Readonly<Record<string, string>>;
  /** Certificate authority in PEM, beside the public ones. */
  caFile: string | undefined;
  serviceName: string;
  /** Of the resource. */
  attributes: Readonly<Record<string, string>>;
  /** Of the traces that begin here, 0–1; one that a caller began is kept when the caller keeps it. */
  ratio: number;
}

const collector = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional();

/** `name=value,name=value` with percent-encoded values, as W3C Baggage writes lists. */
const pairs = z.string().transform((text, issues) => {
  const found: Record<string, string> = {};
  for (const pair of text.split(',').filter((part) => part.trim() !== '')) {
    const [name, value] = [pair.slice(0, pair.indexOf('=')).trim(), pair.slice(pair.indexOf('=') + 1).trim()];
    try {
      if (!pair.includes('=') || name === '') throw new URIError();
      found[name] = decodeURIComponent(value);
    } catch {
      issues.addIssue({ code: 'custom', message: 'must be name=value pairs with commas between them, values percent-encoded' });
      return z.NEVER;
    }
  }
  return found;
});

/** Variables of OpenTelemetry that the product reads. @see OpenTelemetry, "Environment Variable Specification" and "Protocol Exporter" */
export const TRACE_VARIABLES = {
  OTEL_SDK_DISABLED: z.string().transform((text) => text.toLowerCase() === 'true').default(false),
  OTEL_EXPORTER_OTLP_ENDPOINT: collector,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector,
  OTEL_EXPORTER_OTLP_PROTOCOL: z.literal('http/json', 'must be http/json, or left out').optional(),
  OTEL_EXPORTER_OTLP_HEADERS: pairs.default({}),
  OTEL_EXPORTER_OTLP_CERTIFICATE: z.string().optional(),
  OTEL_SERVICE_NAME: z.string().optional(),
  OTEL_RESOURCE_ATTRIBUTES: pairs.default({}),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number({ error: 'must be a number from 0 to 1' }).min(0, 'must be a number from 0 to 1').max(1, 'must be a number from 0 to 1').default(1),
};

type Values = z.output<z.ZodObject<typeof TRACE_VARIABLES>> & { APP_ROLE: string };

/** undefined when nothing is exported. */
export function traceSettings(values: Values): TraceSettings | undefined {
  const url = values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (values.OTEL_EXPORTER_OTLP_ENDPOINT && `${values.OTEL_EXPORTER_OTLP_ENDPOINT.replace(/\/+$/, '')}/v1/traces`);
  if (url === undefined || values.OTEL_SDK_DISABLED) return undefined;
  return {
    url, headers: values.OTEL_EXPORTER_OTLP_HEADERS, caFile: values.OTEL_EXPORTER_OTLP_CERTIFICATE, ratio: values.OTEL_TRACES_SAMPLER_ARG, attributes: values.OTEL_RESOURCE_ATTRIBUTES,
    // The variable goes before the attribute, says the specification.
    serviceName: values.OTEL_SERVICE_NAME ?? values.OTEL_RESOURCE_ATTRIBUTES['service.name'] ?? (values.APP_ROLE === 'all' ? 'healthvision' : `healthvision-${values.APP_ROLE}`),
  };
}
