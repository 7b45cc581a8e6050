import type { AnalysisInput } from '../../imaging/analyses/analysis.js';
import { revive } from '../threads/thread-protocol.js';
import { batchLimit } from './batching.js';
import type { ComputeBatchResult, ComputeModel, ComputeRunResult } from './compute-protocol.js';

/** How long a run waits for others when a thread is free. */
const GATHER_MS = 4;

export interface BatchMember {
  input: AnalysisInput;
  signal?: AbortSignal | undefined;
  onProgress?: ((message: unknown) => void) | undefined;
}

interface Waiting extends BatchMember {
  resolve: (result: ComputeRunResult) => void;
  reject: (error: unknown) => void;
}

interface Group {
  model: ComputeModel;
  waiting: Waiting[];
  timer: NodeJS.Timeout | undefined;
}

export interface BatchPorts {
  /** Computes runs side by side in one thread. */
  submit: (model: ComputeModel, members: readonly BatchMember[], signal: AbortSignal) => Promise<ComputeBatchResult>;
  /** Whether a thread has nothing to do. */
  isIdle: () => boolean;
}

/** Gathers runs of one model for a few milliseconds, or for as long as all threads are busy, so that they go through the network together. */
export class RunBatcher {
  private readonly groups = new Map<string, Group>();

  constructor(private readonly ports: BatchPorts) {}

  run(model: ComputeModel, member: BatchMember): Promise<ComputeRunResult> {
    return new Promise((resolve, reject) => {
      if (member.signal?.aborted === true) {
        reject(member.signal.reason as Error); // of this product's own signals: an Error
        return;
      }
      const group: Group = this.groups.get(model.digest) ?? { model, waiting: [], timer: undefined };
      this.groups.set(model.digest, group);
      const waiting: Waiting = { ...member, resolve, reject };
      group.waiting.push(waiting);
      member.signal?.addEventListener('abort', () => {
        group.waiting = group.waiting.filter((other) => other !== waiting);
        reject(member.signal?.reason as Error); // as above
      }, { once: true });
      if (group.waiting.length >= batchLimit(model.manifest)) this.flush(group);
      else group.timer ??= setTimeout(() => { group.timer = undefined; if (this.ports.isIdle()) this.flush(group); }, GATHER_MS);
    });
  }

  /** A thread has become free: the group that waits longest takes it. */
  threadIsFree(): void {
    const group = [...this.groups.values()].find(({ timer }) => timer === undefined);
    if (group && this.ports.isIdle()) this.flush(group);
  }

  private flush(group: Group): void {
    clearTimeout(group.timer);
    group.timer = undefined;
    const members = group.waiting.splice(0, batchLimit(group.model.manifest));
    if (group.waiting.length === 0) this.groups.delete(group.model.digest);
    if (members.length > 0) void this.compute(group.model, members);
  }

  private async compute(model: ComputeModel, members: readonly Waiting[]): Promise<void> {
    // The thread is let go only when nobody waits for it any more.
    const abort = new AbortController();
    let left = members.length;
    for (const { signal } of members) signal?.addEventListener('abort', () => { if (--left === 0) abort.abort(signal.reason); }, { once: true });
    try {
      const results = await this.ports.submit(model, members, abort.signal);
      for (const [i, member] of members.entries()) {
        const result = results[i];
        if (result && 'report' in result) member.resolve(result.report);
        else member.reject(result ? revive(result.error) : new Error('a run of a batch has no result'));
      }
    } catch (error) {
      for (const member of members) member.reject(error);
    }
  }
}
