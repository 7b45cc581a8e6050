import { describe, expect, it } from 'vitest';
import { serverEvents, type ServerEvent } from './event-stream.js';

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(new TextEncoder().encode(part));
}

async function read(...parts: string[]): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of serverEvents(chunks(...parts))) events.push(event);
  return events;
}

describe('an event stream', () => {
  it('is read across chunks, line ends and comments', async () => {
    expect(await read(': hello\r\n\r\nevent: prog', 'ress\r\ndata: {"a"', ':1}\r\nid: 7\r', '\n\r\n', 'data: one\ndata: two\n\n')).toEqual([
      { event: 'progress', data: '{"a":1}', id: '7' },
      { event: 'message', data: 'one\ntwo', id: '7' },
    ]);
  });

  it('drops an event that was cut off', async () => {
    expect(await read('data: whole\n\ndata: cut')).toEqual([{ event: 'message', data: 'whole', id: undefined }]);
  });
});
