import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { modelSigners } from './model-signers.js';
import { oidcIssuers } from './oidc-issuers.js';
import { TRACE_VARIABLES, traceSettings, type TraceSettings } from './trace-settings.js';
import { isAllowedHost } from './http/public-address.js';
import { productionFaults } from './production-secrets.js';
import { SECRET_VARIABLES, withSecretFiles } from './secret-files.js';

const QUEUE_NAME = /^[a-z][a-z-]*$/;
const SENTINEL = /^(\[[\da-f:.]+\]|[^\s/@:[\]]+)(:\d+)?$/i;

const list = z.string().transform((text) => text.split(',').map((part) => part.trim()).filter((part) => part !== ''));
const flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1');
const port = z.coerce.number().int().min(0).max(65535);
const count = z.coerce.number({ error: 'must be a whole number' }).int('must be a whole number').min(1, 'must be at least 1');

/** Requests a minute; 0 = without limit. */
const rate = z.coerce.number({ error: 'must be a whole number' }).int('must be a whole number').min(0).max(100_000_000);

/** "4 GiB", "500MB" or plain bytes. */
const bytes = z.string().transform((text, context) => {
  const match = /^(\d+(?:\.\d+)?)\s*(|B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/.exec(text.trim());
  const factors: Record<string, number> = { '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
  const factor = factors[match?.[2] ?? ''];
  if (!match || factor === undefined) {
    context.addIssue({ code: 'custom', message: 'must be a number of bytes, or one with a unit such as 500MB or 4GiB' });
    return z.NEVER;
  }
  return Math.floor(Number(match[1]) * factor);
});

const masterKey = z.string().refine((text) => Buffer.from(text, 'base64').length === 32, 'must be 32 bytes in base64 (openssl rand -base64 32)');

/** Without a slash at its end, so that paths can be put behind it. */
const publicUrl = z
  .url({ protocol: /^https?$/, error: 'must be an address that begins with https:// or http://' })
  .regex(/^[^?#@]*$/, 'must be an address without credentials, ? and #')
  .transform((text) => text.replace(/\/+$/, ''));

const environment = z.object({
  NODE_ENV: z.string().default('development'),
  PORT: port.default(8080),
  HOST: z.string().default('0.0.0.0'),
  METRICS_PORT: port.optional(),
  APP_ROLE: z.enum(['all', 'api', 'worker']).default('all'),
  WORKER_QUEUES: list.pipe(z.array(z.string().regex(QUEUE_NAME))).optional(),
  WORKER_CONCURRENCY: count.max(64).default(1),
  INFERENCE_THREADS: count.max(1024).optional(),
  DATA_DIR: z.string().default('./data'),
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'must start with postgresql://').optional(),
  DATABASE_MIGRATION_URL: z.string().regex(/^postgres(ql)?:\/\//, 'must start with postgresql://').optional(),
  DATABASE_POOL_SIZE: count.max(500).default(10),
  DATABASE_CA_FILE: z.string().optional(),
  QUEUE_BACKEND: z.enum(['postgres', 'redis']).default('postgres'),
  REDIS_URL: z.string().regex(/^rediss?:\/\//, 'must start with redis:// or rediss://').optional(),
  REDIS_CA_FILE: z.string().optional(),
  REDIS_SENTINELS: list.pipe(z.array(z.string()).min(1, 'must name at least one sentinel')).optional(),
  REDIS_SENTINEL_PASSWORD: z.string().optional(),
  BLOB_STORE: z.enum(['fs', 's3']).default('fs'),
  S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  S3_REGION: z.string().default('us-east-1'),
  S3_BUCKET: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket').optional(),
  S3_ACCESS_KEY_ID: z.string().optional(),
  S3_SECRET_ACCESS_KEY: z.string().optional(),
  S3_CA_FILE: z.string().optional(),
  STORAGE_RESERVE_BYTES: bytes.default(2 ** 30),
  BOOTSTRAP_ADMIN_EMAIL: z.string().regex(/^[^@\s]+@[^@\s]+$/, 'must be an e-mail address').default('admin@localhost'),
  BOOTSTRAP_ADMIN_PASSWORD: z.string().min(8, 'must have at least 8 characters').optional(),
  MASTER_KEY: masterKey.optional(),
  MASTER_KEY_PREVIOUS: masterKey.optional(),
  MODELS_DIR: z.string().default('./models'),
  MODEL_SIGNERS: modelSigners.optional(),
  MODEL_SIGNATURE_REQUIRED: flag.default(false),
  MODEL_CACHE_BYTES: bytes.default(16 * 2 ** 30),
  EXECUTION_PROVIDERS: list.pipe(z.array(z.enum(['cpu', 'cuda', 'tensorrt', 'webgpu'])).min(1)).default(['cpu']),
  GPU_DEVICE_ID: z.coerce.number().int().min(0).default(0),
  EXECUTION_PROVIDERS_STRICT: flag.default(false),
  GPU_MEMORY_LIMIT_MB: count.optional(),
  GPU_ARENA_STRATEGY: z.enum(['power-of-two', 'as-requested']).default('as-requested'),
  CUDNN_CONV_SEARCH: z.enum(['exhaustive', 'heuristic', 'default']).default('heuristic'),
  TENSORRT_FP16: flag.default(false),
  COMPUTE_DEVICE: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/:-]{0,99}$/, 'must be letters, digits and . _ / : -').optional(),
  COMPUTE_MEMORY_MB: count.optional(),
  COMPUTE_TIME_LIMIT_SECONDS: count.max(86_400).default(3_600),
  PRIORITY_AGING_MINUTES: z.coerce.number().min(0.1).max(10_080).default(30),
  PUBLIC_URL: publicUrl.optional(),
  TRUST_PROXY: z.string().optional(),
  SETTLE_SECONDS: z.coerce.number().min(0).max(86_400).default(30),
  MAX_UPLOAD_BYTES: bytes.default(4 * 2 ** 30),
  UPLOAD_EXPIRY_HOURS: z.coerce.number().min(0.01).max(24 * 30).default(24),
  DIMSE_PORT: port.optional(),
  DIMSE_AE_TITLE: z.string().regex(/^[!-[\]-~](?:[ -[\]-~]{0,14}[!-[\]-~])?$/, 'must be an AE title of at most 16 characters').default('HEALTHVISION'),
  DOCS_PUBLIC: flag.default(true),
  OHIF_DIST: z.string().optional(),
  CORS_ORIGINS: list.optional(),
  TLS_CERT_FILE: z.string().optional(),
  TLS_KEY_FILE: z.string().optional(),
  TLS_CLIENT_CA_FILE: z.string().optional(),
  SMTP_URL: z.string().regex(/^smtps?:\/\//, 'must start with smtp:// or smtps://').optional(),
  MAIL_FROM: z.string().default('HealthVision <healthvision@localhost>'),
  OIDC_ISSUERS: oidcIssuers.optional(),
  AUDIT_FAILURE: z.enum(['refuse', 'queue']).default('refuse'),
  RATE_LIMIT_PRINCIPAL: rate.default(60_000),
  RATE_LIMIT_ADDRESS: rate.default(120_000),
  RATE_LIMIT_ANONYMOUS: rate.default(1_200),
  RATE_LIMIT_SIGN_IN: rate.default(120),
  RATE_LIMIT_SIGN_IN_FAILURES: rate.default(30),
  REQUEST_TIMEOUT_SECONDS: z.coerce.number().min(1).max(3600).default(60),
  SHUTDOWN_DELAY_SECONDS: z.coerce.number().min(0).max(600).default(0),
  SHUTDOWN_GRACE_SECONDS: z.coerce.number().min(1).max(3600).default(25),
  ALLOWED_PRIVATE_HOSTS: list.optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  ...TRACE_VARIABLES,
});

/** Every variable that is read. */
export const CONFIG_VARIABLES: readonly string[] = [...Object.keys(environment.shape), ...SECRET_VARIABLES.map((name) => `${name}_FILE`)];

export type Role = 'all' | 'api' | 'worker';

/** Everything that the environment decides, parsed once and frozen. Sizes in bytes, times in seconds unless named. */
export type Config = Readonly<z.output<typeof environment>> & {
  readonly isProduction: boolean;
  /** Absolute. */
  readonly dataDir: string;
  /** Absolute. */
  readonly modelsDir: string;
  /** Threads for ONNX Runtime in all compute threads together. Without a wish every core, since they run behind the event loop (`computeInBackground`). */
  readonly inferenceThreads: number;
  /** undefined: nothing is traced. */
  readonly traces: TraceSettings | undefined;
};

/** Thrown by `parseConfig`: one line per invalid variable. */
export class ConfigurationError extends Error {
  constructor(readonly lines: string[]) {
    super(lines.join('\n'));
    this.name = 'ConfigurationError';
  }
}

/** Dependency-injection token of the frozen configuration. */
export const CONFIG = Symbol('Config');

/**
 * @param variables  the process environment; empty strings count as unset
 * @throws ConfigurationError with one line per variable that is invalid or missing
 */
export function parseConfig(variables: NodeJS.ProcessEnv = process.env): Config {
  const { variables: given, faults } = withSecretFiles(Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined && value !== '')));
  const parsed = environment.safeParse(given);
  const lines = [...faults, ...(parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`))];
  // What is missing because its file is has been told.
  if (parsed.success && faults.length === 0) lines.push(...contradictions(parsed.data));
  // All at once, whatever else is wrong.
  if (given.NODE_ENV === 'production') lines.push(...productionFaults(given).filter((line) => !faults.some((fault) => fault.startsWith(line.split(':')[0] ?? ''))));
  if (!parsed.success || lines.length > 0) throw new ConfigurationError(lines);
  const values = parsed.data;
  return Object.freeze({
    ...values,
    isProduction: values.NODE_ENV === 'production',
    dataDir: resolve(values.DATA_DIR),
    modelsDir: resolve(values.MODELS_DIR),
    inferenceThreads: values.INFERENCE_THREADS ?? availableParallelism(),
    traces: traceSettings(values),
  });
}

function isPlainRedisUrl({ pathname, search, hash }: URL): boolean {
  return search === '' && hash === '' && /^(\/\d*)?$/.test(pathname);
}

function contradictions(values: z.output<typeof environment>): string[] {
  const lines: string[] = [];
  for (const name of ['DATABASE_URL', 'DATABASE_MIGRATION_URL', 'REDIS_URL'] as const) if (values[name] !== undefined && !values[name].includes('@/') && !URL.canParse(values[name])) lines.push(`${name}: is not a URL`);
  for (const name of ['DATABASE_CA_FILE', 'REDIS_CA_FILE', 'S3_CA_FILE', 'TLS_CERT_FILE', 'TLS_KEY_FILE', 'TLS_CLIENT_CA_FILE', 'OTEL_EXPORTER_OTLP_CERTIFICATE'] as const) if (values[name] !== undefined && !existsSync(values[name])) lines.push(`${name}: there is no such file`);
  if (values.QUEUE_BACKEND === 'redis' && !values.REDIS_URL) lines.push('REDIS_URL: is required when QUEUE_BACKEND=redis');
  for (const entry of values.REDIS_SENTINELS ?? []) if (!SENTINEL.test(entry) || !URL.canParse(`redis://${entry}`)) lines.push(`REDIS_SENTINELS: "${entry.replace(/^.*@/, '…@')}" is neither a host nor host:port`);
  if (values.REDIS_URL !== undefined && URL.canParse(values.REDIS_URL) && !isPlainRedisUrl(new URL(values.REDIS_URL))) lines.push('REDIS_URL: takes nothing after the host but the number of a database');
  if (values.REDIS_SENTINELS !== undefined && values.REDIS_URL === undefined) lines.push('REDIS_SENTINELS: needs REDIS_URL, whose host is the name of the primary');
  if (values.BLOB_STORE === 's3' && !values.S3_BUCKET) lines.push('S3_BUCKET: is required when BLOB_STORE=s3');
  if ((values.S3_ACCESS_KEY_ID === undefined) !== (values.S3_SECRET_ACCESS_KEY === undefined)) lines.push('S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY: give both or neither');
  if ((values.TLS_CERT_FILE === undefined) !== (values.TLS_KEY_FILE === undefined)) lines.push('TLS_CERT_FILE, TLS_KEY_FILE: give both or neither');
  if (values.TLS_CLIENT_CA_FILE !== undefined && values.TLS_CERT_FILE === undefined) lines.push('TLS_CLIENT_CA_FILE: needs TLS_CERT_FILE and TLS_KEY_FILE');
  if (values.OIDC_ISSUERS?.some(({ issuer }) => issuer.replace(/\/+$/, '') === values.PUBLIC_URL)) lines.push('OIDC_ISSUERS: names this installation itself (PUBLIC_URL)');
  for (const entry of values.ALLOWED_PRIVATE_HOSTS ?? []) if (!isAllowedHost(entry)) lines.push(`ALLOWED_PRIVATE_HOSTS: "${entry}" is neither a host name nor an address nor a network such as 10.1.0.0/16`);
  if (values.DATABASE_MIGRATION_URL !== undefined && values.DATABASE_URL === undefined) lines.push('DATABASE_MIGRATION_URL: needs DATABASE_URL');
  if (values.MODEL_SIGNATURE_REQUIRED && !values.MODEL_SIGNERS) lines.push('MODEL_SIGNERS: is required when MODEL_SIGNATURE_REQUIRED=true');
  return lines;
}
