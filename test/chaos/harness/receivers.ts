import { answering, openReceiver, type Received, type Receiver } from '../../integration/notifications/webhook-receiver.js';

/** Longer than a sender waits. */
const LATE_MS = 40_000;

export interface ChaosReceivers {
  /** What the one that counts does at the moment. */
  mood: 'well' | 'refuses' | 'cuts';
  /** What it took, in the order in which it took it. */
  taken: readonly Received[];
  urls: { good: string; bad: Readonly<Record<string, string>> };
  /** Requests that each of the bad ones met. */
  met(): Record<string, number>;
  close(): void;
}

/** One receiver whose messages are looked at, and one of every bad kind. */
export async function openReceivers(): Promise<ChaosReceivers> {
  const good = await openReceiver();
  const taken: Received[] = [];
  const bad: Record<string, Receiver> = {};
  for (const name of ['hangs', 'streams', 'late', 'redirects']) bad[name] = await openReceiver();
  const state: ChaosReceivers = {
    mood: 'well', taken,
    urls: { good: good.url, bad: Object.fromEntries(Object.entries(bad).map(([name, { url }]) => [name, url])) },
    met: () => Object.fromEntries(Object.entries(bad).map(([name, { received }]) => [name, received.length])),
    close: () => { for (const one of [good, ...Object.values(bad)]) one.close(); },
  };
  good.behave((message, response, request) => {
    if (state.mood === 'cuts') {
      request.socket.destroy();
      return;
    }
    if (state.mood === 'well') taken.push(message);
    answering(state.mood === 'well' ? 200 : 503)(message, response, request);
  });
  bad.hangs?.behave(() => undefined);
  bad.streams?.behave((_message, response) => {
    response.writeHead(200);
    const timer = setInterval(() => { response.write('x'.repeat(1_024)); }, 200);
    response.on('close', () => { clearInterval(timer); });
  });
  bad.late?.behave((message, response, request) => { setTimeout(() => { answering(200)(message, response, request); }, LATE_MS).unref(); });
  bad.redirects?.behave(answering(307, '', { location: 'http://169.254.169.254/latest/meta-data/' }));
  return state;
}
