import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** A message as it came. */
export interface Received {
  path: string;
  headers: Record<string, string>;
  body: string;
  /** What was answered; undefined while nothing is. */
  status?: number;
}

export type Behaviour = (message: Received, response: ServerResponse, request: IncomingMessage) => void;

/** Somebody's endpoint on this machine. */
export interface Receiver {
  url: string;
  received: Received[];
  /** What it does from now on; it answers 200 until it is told otherwise. */
  behave(behaviour: Behaviour): void;
  /** Most requests that were open at a time. */
  mostOpen(): number;
  close(): void;
}

export const answering = (status: number, body = '', headers: Record<string, string> = {}): Behaviour => (message, response) => {
  message.status = status;
  response.writeHead(status, headers).end(body);
};

export async function openReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  let behaviour = answering(200);
  let [open, most] = [0, 0];
  const server = createServer((request, response) => {
    open += 1;
    most = Math.max(most, open);
    response.on('close', () => { open -= 1; });
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part)).on('end', () => {
      const message: Received = { path: request.url ?? '', headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])), body: Buffer.concat(parts).toString('utf8') };
      received.push(message);
      behaviour(message, response, request);
    });
  });
  server.on('connection', (socket) => { sockets.add(socket); socket.on('error', () => undefined); });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  // A server that listens at TCP has an address of that kind.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}/hook`, received,
    behave: (next) => { behaviour = next; },
    mostOpen: () => most,
    close: () => { for (const socket of sockets) socket.destroy(); server.close(); },
  };
}
