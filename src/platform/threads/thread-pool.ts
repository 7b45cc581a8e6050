import { setTimeout as sleep } from 'node:timers/promises';
import { Worker, type ResourceLimits, type Transferable } from 'node:worker_threads';
import { AppError } from '../../kernel/errors.js';
import { continueTrace } from '../ops/tracing.js';
import { revive, type LeaveMessage, type ReplyMessage, type TaskMessage } from './thread-protocol.js';

export interface ThreadPoolOptions {
  threads: number;
  /** Tasks that may wait; one more is refused. */
  maxQueue?: number;
  /** Milliseconds that a task may run, waiting not counted. */
  timeoutMs?: number;
  resourceLimits?: ResourceLimits;
  /** Milliseconds after which a thread without a task ends; without it a thread stays until the pool closes. */
  idleMs?: number;
  /** Structured-cloneable; the thread finds it as `workerData`. */
  workerData?: unknown;
  /**
   * Its tasks call native code that must not be interrupted (ONNX Runtime: the whole process would abort). A thread that is to die
   * is left behind and ends itself after the call; its task is rejected at once and another thread takes over.
   */
  native?: boolean;
  /** Told the `threadId` of every thread once it has ended, and its memory is given back. */
  onExit?: (threadId: number) => void;
}

/** How long `close` waits for threads in native code; beyond it they die with the process. */
const LEAVE_MS = 20_000;

export interface TaskOptions {
  transfer?: Transferable[];
  timeoutMs?: number;
  /** Takes a waiting task out of the queue and kills the thread of a running one. */
  signal?: AbortSignal;
  /** Gets what the task reports while it runs. */
  onProgress?: (progress: unknown) => void;
}

interface Job {
  id: number;
  task: unknown;
  transfer: Transferable[];
  timeoutMs: number;
  onProgress: ((progress: unknown) => void) | undefined;
  settle: { resolve: (result: unknown) => void; reject: (error: Error) => void };
}

interface Thread {
  worker: Worker;
  job: Job | undefined;
  timer: NodeJS.Timeout | undefined;
  /** Ends it for want of work. */
  idleTimer: NodeJS.Timeout | undefined;
}

/**
 * A fixed number of worker threads over one queue. Threads start with the first task that needs them; one task at a time each. With `idleMs` they end
 * again when no task needs them, and their memory is given back.
 * A thread that dies, or is killed because its task took too long, takes down that task alone and is replaced; one whose task ran out of memory
 * is replaced too.
 */
export class ThreadPool {
  private readonly threads = new Set<Thread>();
  /** Left behind in native code. */
  private readonly leaving = new Map<Thread, Promise<void>>();
  private readonly queue: Job[] = [];
  private readonly maxQueue: number;
  private readonly timeoutMs: number;
  private nextId = 1;
  private closed = false;

  constructor(
    private readonly entry: URL,
    private readonly options: ThreadPoolOptions,
  ) {
    this.maxQueue = options.maxQueue ?? 256;
    this.timeoutMs = options.timeoutMs ?? 60_000;
  }

  /** Tasks that wait, for metrics. */
  get waiting(): number {
    return this.queue.length;
  }

  /** Tasks that run, for metrics. */
  get running(): number {
    return [...this.threads].filter((thread) => thread.job !== undefined).length;
  }

  /**
   * Runs a task in a thread.
   *
   * @throws AppError `overloaded` when the queue is full, `processing-timeout`, `thread-lost`, `out-of-memory`, `shutting-down`,
   *   and whatever AppError the task throws; the signal's reason when it is aborted
   */
  run(task: unknown, options: TaskOptions = {}): Promise<unknown> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new AppError('shutting-down'));
        return;
      }
      if (signal?.aborted === true) {
        reject(reasonOf(signal));
        return;
      }
      const idle = this.idleThread();
      if (idle === undefined && this.queue.length >= this.maxQueue) {
        reject(new AppError('overloaded', { retryAfterSeconds: 5 }));
        return;
      }
      const onAbort = (): void => { if (signal !== undefined) this.abort(job, reasonOf(signal)); };
      const job: Job = {
        id: this.nextId++,
        task,
        transfer: options.transfer ?? [],
        timeoutMs: options.timeoutMs ?? this.timeoutMs,
        onProgress: options.onProgress,
        settle: {
          resolve: (result) => { signal?.removeEventListener('abort', onAbort); resolve(result); },
          reject: (error) => { signal?.removeEventListener('abort', onAbort); reject(error); },
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      if (idle === undefined) this.queue.push(job);
      else this.start(idle, job);
    });
  }

  /** Ends every thread; tasks that still wait or run are rejected with `shutting-down`. */
  async close(): Promise<void> {
    this.closed = true;
    for (const job of this.queue.splice(0)) job.settle.reject(new AppError('shutting-down'));
    const ended = Promise.all([...[...this.threads].map((thread) => this.kill(thread, new AppError('shutting-down'))), ...this.leaving.values()]);
    const patience = new AbortController();
    await Promise.race([ended, sleep(LEAVE_MS, undefined, { ref: false, signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
  }

  private idleThread(): Thread | undefined {
    for (const thread of this.threads) if (thread.job === undefined) return thread;
    // Threads that were left behind in native code still take a core and memory each: as many again, and no more.
    return this.threads.size < this.options.threads && this.leaving.size < 2 * this.options.threads ? this.spawn() : undefined;
  }

  private spawn(): Thread {
    // It outlives whoever it is made for, in whose trace its messages would come for ever.
    const worker = continueTrace(undefined, () => new Worker(this.entry, {
      // Flags of the parent, such as a debugger's port, are not the thread's.
      execArgv: [],
      workerData: this.options.workerData,
      ...(this.options.resourceLimits === undefined ? {} : { resourceLimits: this.options.resourceLimits }),
    }));
    // An idle pool does not keep the process alive.
    worker.unref();
    const { threadId } = worker;
    const thread: Thread = { worker, job: undefined, timer: undefined, idleTimer: undefined };
    this.threads.add(thread);
    worker.on('message', (reply: ReplyMessage) => { this.finish(thread, reply); });
    worker.on('error', (error) => { this.lose(thread, lossOf(error)); });
    worker.on('exit', () => {
      this.lose(thread, new AppError('thread-lost'));
      this.options.onExit?.(threadId);
    });
    return thread;
  }

  private start(thread: Thread, job: Job): void {
    thread.job = job;
    clearTimeout(thread.idleTimer);
    thread.worker.ref();
    thread.timer = setTimeout(() => { void this.kill(thread, new AppError('processing-timeout')); }, job.timeoutMs);
    try {
      thread.worker.postMessage({ id: job.id, task: job.task } satisfies TaskMessage, job.transfer);
    } catch (error) {
      // A task that cannot be cloned: the thread never saw it.
      this.release(thread)?.settle.reject(error instanceof Error ? error : new Error(String(error)));
      this.next(thread);
    }
  }

  private finish(thread: Thread, reply: ReplyMessage): void {
    if (thread.job?.id !== reply.id) return;
    if ('progress' in reply) {
      thread.job.onProgress?.(reply.progress);
      return;
    }
    const job = this.release(thread);
    // Memory that ran out once is fragmented or held by what failed; a thread costs less than the next failure.
    if (isWorn(reply)) void this.kill(thread, new AppError('thread-lost'));
    else this.next(thread);
    if ('error' in reply) job?.settle.reject(revive(reply.error));
    else job?.settle.resolve(reply.result);
  }

  private next(thread: Thread): void {
    const job = this.queue.shift();
    if (job !== undefined) this.start(thread, job);
    else this.endWhenIdle(thread);
  }

  private endWhenIdle(thread: Thread): void {
    if (this.options.idleMs === undefined || this.closed || !this.threads.has(thread)) return;
    thread.idleTimer = setTimeout(() => { void this.kill(thread, new AppError('thread-lost')); }, this.options.idleMs).unref();
  }

  private release(thread: Thread): Job | undefined {
    clearTimeout(thread.timer);
    const { job } = thread;
    thread.job = undefined;
    thread.worker.unref();
    return job;
  }

  private abort(job: Job, reason: Error): void {
    const waiting = this.queue.indexOf(job);
    if (waiting >= 0) {
      this.queue.splice(waiting, 1);
      job.settle.reject(reason);
      return;
    }
    for (const thread of this.threads) if (thread.job === job) void this.kill(thread, reason);
  }

  private async kill(thread: Thread, reason: Error): Promise<void> {
    this.lose(thread, reason);
    if (this.options.native !== true) {
      await thread.worker.terminate();
      return;
    }
    const left = new Promise<void>((resolve) => { thread.worker.once('exit', () => { this.leaving.delete(thread); resolve(); this.refill(); }); });
    this.leaving.set(thread, left);
    // The process must not end under it.
    thread.worker.ref();
    thread.worker.postMessage({ leave: true } satisfies LeaveMessage);
    await left;
  }

  /** Takes a thread out, rejects its task and lets a fresh one take the next. Does nothing the second time. */
  private lose(thread: Thread, reason: Error): void {
    if (!this.threads.delete(thread)) return;
    clearTimeout(thread.idleTimer);
    this.release(thread)?.settle.reject(reason);
    this.refill();
  }

  private refill(): void {
    if (this.closed || this.queue.length === 0) return;
    const replacement = this.idleThread();
    if (replacement !== undefined) this.next(replacement);
  }
}

function isWorn(reply: ReplyMessage): boolean {
  return 'error' in reply ? 'code' in reply.error && reply.error.code === 'out-of-memory' : 'worn' in reply && reply.worn;
}

function lossOf(error: unknown): AppError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return new AppError(code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out-of-memory' : 'thread-lost', { cause: error });
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted');
}
