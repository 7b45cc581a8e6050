import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Value = { stringValue?: string; intValue?: number | string; doubleValue?: number; boolValue?: boolean };
interface Attribute { key: string; value: Value }

/** A span as it came, in OTLP's JSON; attributes by name. */
export interface Span {
  service: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  attributes: Record<string, string | number | boolean | undefined>;
  /** 2 = error. */
  status: { code: number; message?: string };
  events: unknown[];
}

interface Exported { resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: (Omit<Span, 'service' | 'attributes'> & { attributes: Attribute[] })[] }[] }[] }

/** Takes traces by OTLP/HTTP in JSON. @see OpenTelemetry Protocol Specification, "OTLP/HTTP" */
export interface Collector {
  url: string;
  /** Everything that came, byte by byte. */
  bodies: string[];
  paths: string[];
  headers: Record<string, string | string[] | undefined>[];
  spans(): Span[];
  /** What it answers from now on. */
  answer(with_: (response: ServerResponse) => void): void;
  close(): void;
}

export async function openCollector(): Promise<Collector> {
  const [bodies, paths, headers]: [string[], string[], Collector['headers']] = [[], [], []];
  const taken = (response: ServerResponse): void => { response.writeHead(200, { 'content-type': 'application/json' }).end('{}'); };
  let answer = taken;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part)).on('end', () => {
      bodies.push(Buffer.concat(parts).toString('utf8'));
      paths.push(request.url ?? '');
      headers.push(request.headers);
      answer(response);
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  // A server that listens at TCP has an address of that kind.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`, bodies, paths, headers,
    spans: () => bodies.flatMap(spansOf),
    answer: (wanted) => { answer = wanted; },
    close: () => { server.closeAllConnections(); server.close(); },
  };
}

function spansOf(body: string): Span[] {
  const { resourceSpans } = JSON.parse(body) as Exported; // what the protocol says
  return resourceSpans.flatMap(({ resource, scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map((span) => (
    { ...span, service: String(named(resource.attributes)['service.name']), attributes: named(span.attributes) }))));
}

function named(attributes: readonly Attribute[]): Span['attributes'] {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.boolValue ?? value.doubleValue ?? (value.intValue === undefined ? undefined : Number(value.intValue))]));
}
