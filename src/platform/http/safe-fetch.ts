import { lookup as resolveName } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { rootCertificates } from 'node:tls';
import { Agent, request, type Dispatcher } from 'undici';
import { AppError } from '../../kernel/errors.js';
import { AllowedHosts, isPublicAddress } from './public-address.js';

export interface SafeFetchOptions {
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** What the installation allows although it is private: ALLOWED_PRIVATE_HOSTS. */
  allowed?: AllowedHosts;
  /** From the beginning to the last byte of the answer. */
  timeoutMs?: number;
  maxBytes?: number;
  /** Certificate authority in PEM, beside the public ones. */
  ca?: string;
  /** How names are resolved; the operating system's way. */
  resolve?: (hostname: string) => Promise<{ address: string; family: number }[]>;
}

const TIMEOUT_MS = 10_000;
const MOST_BYTES = 1024 * 1024;
const NOTHING_ALLOWED = new AllowedHosts();
const NO_BODY = new Set([204, 205, 304]);

/**
 * Asks a server that a user has named. Only over TLS, and only a server on the Internet, unless the installation allows its own:
 * the address that is checked is the one that is connected to, so a name that means another address a moment later helps nobody.
 * Redirects are not followed, proxies not used, connections not shared; a compressed answer is refused, because it may expand to
 * anything. Any port will do: what does not speak TLS with a certificate of that name gets nothing from us.
 *
 * @returns the answer whatever its status, with its body read
 * @throws AppError `url-not-allowed`; `remote-unavailable` when there is no answer in time, or too much of it
 */
export async function safeFetch(url: string | URL, options: SafeFetchOptions = {}): Promise<Response> {
  const { allowed = NOTHING_ALLOWED, timeoutMs = TIMEOUT_MS, maxBytes = MOST_BYTES } = options;
  const target = allowedUrl(url, allowed);
  const agent = new Agent({
    connect: { lookup: checkedLookup(allowed, options.resolve ?? ((hostname) => resolveName(hostname, { all: true }))), timeout: timeoutMs, ...(options.ca !== undefined && { ca: [...rootCertificates, options.ca] }) },
    headersTimeout: timeoutMs, bodyTimeout: timeoutMs, maxResponseSize: maxBytes, pipelining: 0,
  });
  try {
    const answer = await request(target, {
      dispatcher: agent,
      method: options.method ?? 'GET',
      headers: { 'user-agent': 'HealthVision', ...options.headers, 'accept-encoding': 'identity' },
      ...(options.body !== undefined && { body: options.body }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const encoding = answer.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') throw unavailable('its answer is compressed, which was not asked for');
    const body = await answer.body.arrayBuffer();
    return new Response(NO_BODY.has(answer.statusCode) ? null : body, { status: answer.statusCode, headers: headersOf(answer.headers) });
  } catch (error) {
    throw ourOwn(error) ?? unavailable('it gave no usable answer in time', error);
  } finally {
    await agent.destroy();
  }
}

/**
 * What can be said of a URL without asking the network; for the moment when a user enters it.
 *
 * @throws AppError `url-not-allowed`
 */
export function allowedUrl(url: string | URL, allowed: AllowedHosts = NOTHING_ALLOWED): URL {
  // Of an address in octal, hexadecimal or one number the parser makes the usual form.
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed) throw refused('It is no URL.');
  const hostname = parsed.hostname.replace(/^\[|\]$/g, '');
  const isListed = allowed.hasName(hostname) || allowed.hasAddress(hostname);
  if (parsed.protocol !== 'https:' && !(parsed.protocol === 'http:' && isListed)) throw refused('It must start with https://.');
  if (parsed.username !== '' || parsed.password !== '') throw refused('It must not hold credentials.');
  if (hostname === '') throw refused('It names no host.');
  // Sockets resolve names only: an address in the URL would go past the look-up.
  if (isIP(hostname) !== 0 && !isListed && !isPublicAddress(hostname)) throw notPublic();
  parsed.hash = '';
  return parsed;
}

/** Resolves a name once, and hands to the socket nothing that was not checked. One address that is not public condemns the name. */
function checkedLookup(allowed: AllowedHosts, resolve: (hostname: string) => Promise<{ address: string; family: number }[]>): LookupFunction {
  return (hostname, { all }, callback) => {
    void resolve(hostname).then((addresses) => {
      const [first] = addresses;
      if (!first) throw unavailable('its name has no address');
      if (!allowed.hasName(hostname) && !addresses.every(({ address }) => isPublicAddress(address) || allowed.hasAddress(address))) throw notPublic();
      if (all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    }).catch((error: unknown) => {
      callback(error instanceof Error ? error : new Error('the name cannot be resolved'), '', 0);
    });
  };
}

function headersOf(headers: Dispatcher.ResponseData['headers']): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers)) for (const one of [value].flat()) if (one !== undefined) all.append(name, one);
  return all;
}

/** The connection wraps what the look-up throws. */
function ourOwn(error: unknown): AppError | undefined {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth++) if (current instanceof AppError) return current;
  return undefined;
}

function refused(detail: string): AppError {
  return new AppError('url-not-allowed', { detail });
}

function notPublic(): AppError {
  return refused('Its host is not on the Internet. The installation can allow it (ALLOWED_PRIVATE_HOSTS).');
}

function unavailable(detail: string, cause?: unknown): AppError {
  return new AppError('remote-unavailable', { detail: `The other server cannot be used: ${detail}.`, cause });
}
