import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wrapImage } from '../../src/imaging/dicom/wrap-image.js';
import { openReceiver, type Receiver } from '../integration/notifications/webhook-receiver.js';
import { relatedBody } from '../integration/images/instances.js';
import { openCollector, type Collector, type Span } from '../support/collector.js';
import { preparedDirectory } from '../support/data-directory.js';
import { newIdentity } from '../support/dicom-files.js';
import { ADMIN, eventually, startProduct, type Product } from '../support/product.js';
import { grayPixels } from '../support/xray.js';

/** Of the caller, as a modality gateway that traces would send it. */
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const REQUEST_ID = 'traced-upload-0001';
const PHI = { patientId: 'PID-4711-XYZ', patientName: 'Geheim^Gerda', patientBirthDate: '20230519', accessionNumber: 'ACC-0815-Q', studyDescription: 'Thorax of somebody', seriesDescription: 'somebody lying' };
const SECRET_PATH = 'endpoint-with-a-token-9f8e7d';

let collector: Collector;
let receiver: Receiver;
let api: Product;
let worker: Product;
const xray = newIdentity();
const bytes = wrapImage({ pixels: grayPixels(1), width: 256, height: 256, channels: 1, bits: 8 }, { modality: 'DX', bodyPart: 'CHEST', viewPosition: 'AP', patientAge: 3, patientSex: 'F', ...PHI, ...xray });

beforeAll(async () => {
  [collector, receiver] = await Promise.all([openCollector(), openReceiver()]);
  const dataDir = await preparedDirectory();
  const env = { LOG_LEVEL: 'info', ALLOWED_PRIVATE_HOSTS: '127.0.0.1', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test' };
  api = await startProduct({ dataDir, env: { ...env, APP_ROLE: 'api' } });
  worker = await startProduct({ dataDir, env: { ...env, APP_ROLE: 'worker' } });
});
afterAll(async () => {
  for (const product of [worker, api]) expect(await product.stop()).toBe(0);
  receiver.close();
  collector.close();
});

const ofTrace = (): Span[] => collector.spans().filter(({ traceId }) => traceId === TRACE);
const has = (name: string): boolean => ofTrace().some((span) => span.name === name);

describe('a trace', () => {
  it('spans every hop, from the upload through settling, queues and the worker to the webhook', async () => {
    const webhook = (path: string, ...events: string[]): Promise<unknown> => api.json('/api/v1/webhooks', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ url: `${receiver.url}/${path}`, events }) });
    await webhook(SECRET_PATH, 'study.completed', 'result.ready');
    await webhook('broken', 'study.completed');
    receiver.behave((message, response) => { response.writeHead((message.status = message.path.endsWith('/broken') ? 500 : 200)).end(); });
    const stored = await api.fetch('/dicom-web/studies', {
      method: 'POST', body: Buffer.from(relatedBody([{ bytes }])),
      headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=boundary-7', 'traceparent': `00-${TRACE}-${CALLER}-01`, 'tracestate': `vendor=${PHI.patientId}`, 'x-request-id': REQUEST_ID },
    });
    expect(stored.status).toBe(200);
    const told = (type: string): boolean => receiver.received.some(({ body, status }) => status === 200 && (JSON.parse(body) as { type: string }).type === type);
    await eventually('the webhooks', () => Promise.resolve(told('result.ready') && told('study.completed') && receiver.received.some(({ status }) => status === 500)), 60_000);

    const names = [
      'POST /dicom-web/studies', 'commit instances', 'settle study', 'send plan', 'process plan', 'send run', 'analyse chest-xray-classification', 'read', 'load', 'decode', 'prepare', 'infer', 'conclude', 'store',
      'send plan-webhooks', 'process plan-webhooks', 'send deliver-webhooks', 'deliver webhook',
    ];
    await eventually('all spans', () => Promise.resolve(names.every(has)), 20_000).catch(() => undefined);
    const spans = ofTrace();
    expect([...new Set(spans.map(({ name }) => name))]).toEqual(expect.arrayContaining(names));

    // One tree: every span hangs under another one of the trace, and the first under the caller's.
    const ids = new Set([CALLER, ...spans.map(({ spanId }) => spanId)]);
    expect(spans.filter(({ parentSpanId }) => parentSpanId === undefined || !ids.has(parentSpanId)).map(({ name }) => name)).toEqual([]);
    const called = (name: string): Span | undefined => spans.find((span) => span.name === name);
    expect(called('POST /dicom-web/studies')).toMatchObject({ service: 'healthvision-api', kind: 2, parentSpanId: CALLER, attributes: { 'http.request.method': 'POST', 'http.route': '/dicom-web/studies', 'http.response.status_code': 200 } });
    expect(called('process plan')).toMatchObject({ service: 'healthvision-worker', kind: 5, parentSpanId: called('send plan')?.spanId, attributes: { 'messaging.destination.name': 'plan', 'healthvision.topic': 'study.completed' } });
    expect(called('analyse chest-xray-classification')).toMatchObject({ service: 'healthvision-worker', kind: 5, attributes: { 'healthvision.outcome': 'succeeded', 'healthvision.computed_together': 1 } });
    expect(called('infer')).toMatchObject({ parentSpanId: called('analyse chest-xray-classification')?.spanId });
  });

  it('goes on at whoever receives the webhook', async () => {
    const deliveries = (): Span[] => ofTrace().filter(({ name }) => name === 'deliver webhook');
    await eventually('the spans of all tries', () => Promise.resolve(receiver.received.every(({ headers }) => deliveries().some(({ spanId }) => headers.traceparent === `00-${TRACE}-${spanId}-01`))), 10_000);
    for (const { kind, attributes, status } of deliveries()) {
      const isRefused = attributes['http.response.status_code'] === 500;
      expect([kind, attributes['server.address'], status.code, attributes['error.type']]).toEqual([3, '127.0.0.1', ...(isRefused ? [2, 'refused'] : [0, undefined])]);
    }
    expect(receiver.received.every(({ headers }) => headers.tracestate === undefined && headers.baggage === undefined)).toBe(true);
  });

  it('is named in the lines of the log, beside the request and who made it', async () => {
    const { id } = await api.json<{ id: string }>('/api/v1/users/me');
    const lines = (product: Product): Record<string, unknown>[] => product.output().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
    const [request] = lines(api).filter(({ requestId }) => requestId === REQUEST_ID);
    expect(request).toMatchObject({ level: 'info', role: 'api', msg: 'request', route: '/dicom-web/studies', status: 200, userId: id, trace_id: TRACE, span_id: ofTrace().find(({ name }) => name === 'POST /dicom-web/studies')?.spanId });
    expect(lines(worker)).toContainEqual(expect.objectContaining({ level: 'warn', msg: 'an event could not be delivered to a webhook', trace_id: TRACE }));
  });

  it('says nothing of the patient, the study, the person or the endpoint, and neither does the log', async () => {
    await api.fetch(`/api/v1/studies/${xray.studyInstanceUid}?token=${SECRET_PATH}`);
    await eventually('the span', () => Promise.resolve(collector.spans().some(({ attributes }) => attributes['http.route'] === '/api/v1/studies/:studyInstanceUid')));
    const sent = collector.bodies.join('\n');
    expect(sent).toContain(TRACE);
    for (const word of [...Object.values(PHI), 'Gerda', xray.studyInstanceUid, xray.seriesInstanceUid, xray.sopInstanceUid, SECRET_PATH, ADMIN.email, ADMIN.password]) {
      expect(sent.includes(word), `${word} was exported`).toBe(false);
      expect(`${api.output()}${worker.output()}`.includes(word), `${word} stands in the log`).toBe(false);
    }
  });

  it('is none of what only watches, or is done on a timer', () => {
    const names = new Set(collector.spans().map(({ name }) => name));
    expect([...names].filter((name) => /health|ready|metrics|process (settle|recover|reconcile|sweep)/.test(name))).toEqual([]);
  });
});
