import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Stands between the product and a server, and takes the network away. */
export interface TcpProxy {
  port: number;
  /** Nothing gets through any more, and nobody is told: as when a cable is pulled. */
  cut(): void;
  heal(): void;
  /** Every connection is reset; new ones are welcome. */
  sever(): void;
  close(): void;
}

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  /** What ended while nobody could hear of it. */
  const overdue: (() => void)[] = [];
  let isCut = false;

  const join = (from: Socket, to: Socket): void => {
    from.on('data', (chunk: Buffer) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => { if (!isCut) from.resume(); });
    from.on('close', () => {
      sockets.delete(from);
      if (isCut) overdue.push(() => { to.destroy(); });
      else to.destroy();
    });
  };
  const adopt = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    return socket;
  };
  const server = createServer((client) => {
    adopt(client).pause();
    const open = (): void => {
      if (client.destroyed) return;
      const upstream = adopt(connect(target.port, target.host));
      join(client, upstream);
      join(upstream, client);
      client.resume();
    };
    if (isCut) overdue.push(open);
    else open();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    // A TCP server has an address of this kind.
    port: (server.address() as AddressInfo).port,
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.pause();
    },
    heal: () => {
      isCut = false;
      for (const socket of sockets) socket.resume();
      for (const late of overdue.splice(0)) late();
    },
    sever: () => { for (const socket of sockets) socket.resetAndDestroy(); },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
