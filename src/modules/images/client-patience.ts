import type { Socket } from 'node:net';
import { SILENCE_MS } from '../../platform/http/connection-patience.js';

/**
 * Passes a request's body on, and holds the client's silence against it only while we wait for it: storing what an archive
 * of gigabytes holds takes longer than any idle limit, and all that time the connection is silent because of us.
 */
export async function* waitingFor<T>(socket: Socket, source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      socket.setTimeout(SILENCE_MS);
      const step = await iterator.next();
      socket.setTimeout(0);
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    await iterator.return?.();
  }
}
