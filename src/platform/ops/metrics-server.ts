import type { INestApplicationContext } from '@nestjs/common';
import { createServer } from 'node:http';
import { Metrics } from './metrics.js';

/** Serves `/metrics` on a port of its own, so that a firewall can keep it inside. */
export async function serveMetrics(app: INestApplicationContext, port: number, host: string): Promise<{ close(): Promise<void> }> {
  const { registry } = app.get(Metrics);
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    void registry.metrics().then((text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text), () => response.writeHead(500).end());
  });
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, host, resolve); });
  return { close: () => new Promise((resolve) => { server.close(() => { resolve(); }); }) };
}
