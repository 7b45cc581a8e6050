import type { Chunks } from './multipart-body.js';

/** Something that holds a file or a thread until it is closed. */
export interface Closable {
  close(): Promise<void>;
}

/** How far ahead things are prepared: `weigh` tells what each takes of `budget`; the next one is prepared however heavy it is. */
export interface Lookahead<Item> {
  budget: number;
  weigh: (item: Item) => number;
}

/**
 * Prepares things in their order, some of them ahead of the one that is used. What was prepared and not used is closed.
 *
 * @throws whatever `prepare` throws, in its turn
 */
export async function* preparedAhead<Item, Prepared extends Closable>(items: AsyncIterable<Item>, prepare: (item: Item) => Promise<Prepared>, { budget, weigh }: Lookahead<Item>): AsyncGenerator<Prepared> {
  const iterator = items[Symbol.asyncIterator]();
  const queue: { prepared: Promise<Prepared>; weight: number }[] = [];
  let queued = 0;
  let coming = await iterator.next();
  try {
    for (;;) {
      while (coming.done !== true) {
        const weight = weigh(coming.value);
        if (queue.length > 0 && queued + weight > budget) break;
        queue.push({ prepared: unobserved(prepare(coming.value)), weight });
        queued += weight;
        coming = await iterator.next();
      }
      const next = queue.shift();
      if (next === undefined) return;
      queued -= next.weight;
      yield await next.prepared;
    }
  } finally {
    await Promise.all(queue.map(({ prepared }) => prepared.then((one) => one.close(), () => undefined)));
    await iterator.return?.();
  }
}

/** A failure is met when its turn comes, and is no unhandled rejection until then. */
function unobserved<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Puts small pieces together until there are `leastBytes` of them: every write to a socket has its price. */
export async function* coalesced(source: AsyncIterable<Chunks>, leastBytes: number): AsyncGenerator<Chunks> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunks of source) {
    for (const chunk of chunks) {
      held.push(chunk);
      bytes += chunk.length;
    }
    if (bytes < leastBytes) continue;
    yield held;
    held = [];
    bytes = 0;
  }
  if (held.length > 0) yield held;
}
