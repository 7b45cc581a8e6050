import type { Networks } from '../../imaging/analyses/analysis.js';
import type { Session, Tensor } from '../../imaging/model/session.js';

type Feeds = Readonly<Record<string, Tensor>>;
type Outputs = Record<string, Tensor>;

interface Call {
  path: string;
  session: Session;
  feeds: Feeds;
  resolve: (outputs: Outputs) => void;
  reject: (error: unknown) => void;
}

/**
 * Lets runs that are computed side by side share inferences. As soon as every run that is not over waits for its network, what they wait for
 * goes through it together, along the first dimension. Nobody waits for the clock.
 */
export class JoinedNetworks {
  private waiting: Call[] = [];
  private readonly sessions = new Map<string, Promise<Session>>();

  /**
   * @param live  runs that are computed side by side
   * @param limit  images that go through a network together, unless one run alone brings more
   */
  constructor(
    private readonly networks: Networks,
    private live: number,
    private readonly limit: number,
    private readonly onBatch: (runs: number) => void = () => undefined,
  ) {}

  /** What each of the runs gets for its networks. */
  readonly member: Networks = async (path) => {
    let opened = this.sessions.get(path);
    if (opened === undefined) this.sessions.set(path, opened = this.networks(path));
    const session = await opened;
    return { ...session, run: (feeds) => this.join(path, session, feeds) };
  };

  /** One of the runs is over. */
  leave(): void {
    this.live--;
    this.flushWhenAllWait();
  }

  private join(path: string, session: Session, feeds: Feeds): Promise<Outputs> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ path, session, feeds, resolve, reject });
      this.flushWhenAllWait();
    });
  }

  private flushWhenAllWait(): void {
    if (this.waiting.length === 0 || this.waiting.length < this.live) return;
    const calls = this.waiting;
    this.waiting = [];
    void this.flush(calls);
  }

  private async flush(calls: readonly Call[]): Promise<void> {
    for (const group of groupsOf(calls, this.limit)) {
      try {
        this.onBatch(group.length);
        const outputs = await runTogether(group);
        for (const [i, call] of group.entries()) call.resolve(outputs[i] ?? {});
      } catch (error) {
        for (const call of group) call.reject(error);
      }
    }
  }
}

/** Calls that fit together, as many as the limit allows, in their order. */
function groupsOf(calls: readonly Call[], limit: number): Call[][] {
  const groups: { key: string; images: number; calls: Call[] }[] = [];
  for (const call of calls) {
    const key = keyOf(call);
    const images = imagesOf(call.feeds);
    const open = key === undefined ? undefined : groups.find((group) => group.key === key && group.images + images <= limit);
    if (open) {
      open.calls.push(call);
      open.images += images;
    } else {
      groups.push({ key: key ?? '', images, calls: [call] });
    }
  }
  return groups.map((group) => group.calls);
}

/** Equal for calls of one network with equal shapes but for the first dimension; undefined when a call is no batch of images. */
function keyOf({ path, feeds }: Call): string | undefined {
  const tensors = Object.entries(feeds);
  const images = imagesOf(feeds);
  if (images === 0 || tensors.some(([, { dims, data }]) => dims[0] !== images || !(data instanceof Float32Array))) return undefined;
  return JSON.stringify([path, tensors.map(([name, { dims }]) => [name, dims.slice(1)])]);
}

function imagesOf(feeds: Feeds): number {
  return Object.values(feeds)[0]?.dims[0] ?? 0;
}

async function runTogether(calls: readonly Call[]): Promise<Outputs[]> {
  const [first] = calls;
  if (first === undefined) return [];
  if (calls.length === 1) return [await first.session.run(first.feeds)];
  const total = calls.reduce((sum, { feeds }) => sum + imagesOf(feeds), 0);
  const joined = Object.fromEntries(Object.entries(first.feeds).map(([name, { dims }]) => [name, { dims: [total, ...dims.slice(1)], data: concatenated(calls.map(({ feeds }) => feeds[name]?.data)) }]));
  const outputs = await first.session.run(joined);
  if (Object.values(outputs).some(({ dims }) => dims[0] !== total)) {
    // An output that is not one of each image: this network cannot be shared.
    const alone: Outputs[] = [];
    for (const { session, feeds } of calls) alone.push(await session.run(feeds));
    return alone;
  }
  let at = 0;
  return calls.map(({ feeds }) => {
    const [from, to] = [at, at += imagesOf(feeds)];
    return Object.fromEntries(Object.entries(outputs).map(([name, { data, dims }]) => {
      const size = data.length / total;
      return [name, { dims: [to - from, ...dims.slice(1)], data: data.slice(from * size, to * size) }];
    }));
  });
}

/** Of feeds that `keyOf` found to be 32-bit floats. */
function concatenated(parts: readonly (Tensor['data'] | undefined)[]): Float32Array {
  const floats = parts.filter((part) => part instanceof Float32Array);
  const joined = new Float32Array(floats.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of floats) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
