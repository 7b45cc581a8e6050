import { parentPort, type Transferable } from 'node:worker_threads';
import { AppError, type ErrorCode } from '../../kernel/errors.js';
import { computeInBackground } from './background.js';

export interface TaskMessage {
  id: number;
  task: unknown;
}

/** The thread ends itself as soon as it is back in its event loop. */
export interface LeaveMessage {
  leave: true;
}

/** An error in a form that can be cloned. */
export type WireError = { code: ErrorCode; detail?: string } | { message: string; stack?: string };

export type ReplyMessage = { id: number; result: unknown; worn: boolean } | { id: number; error: WireError } | { id: number; progress: unknown };

export interface Answer {
  result: unknown;
  /** Buffers that move to the caller instead of being copied. */
  transfer?: Transferable[];
  /** Memory ran out on the way: a fresh thread does the next task. */
  worn?: boolean;
}

/** Runs in the thread: answers every task with what `handle` gives, errors with their code. `report` tells the caller how far a task is. */
export function serveTasks(handle: (task: unknown, report: (progress: unknown) => void) => Promise<Answer>): void {
  if (parentPort === null) throw new Error('This module runs in a worker thread');
  const port = parentPort;
  computeInBackground();
  port.on('message', (message: TaskMessage | LeaveMessage) => {
    // In a worker thread this ends the thread, not the process.
    if ('leave' in message) process.exit();
    const { id, task } = message;
    handle(task, (progress) => { port.postMessage({ id, progress } satisfies ReplyMessage); }).then(
      ({ result, transfer = [], worn = false }) => { port.postMessage({ id, result, worn } satisfies ReplyMessage, transfer); },
      (error: unknown) => { port.postMessage({ id, error: describe(error) } satisfies ReplyMessage); },
    ).catch((error: unknown) => { port.postMessage({ id, error: describe(error) } satisfies ReplyMessage); });
  });
}

/** Puts an error in a form that can be cloned. */
export function describe(error: unknown): WireError {
  if (error instanceof AppError) return { code: error.code, ...(error.detail === undefined ? {} : { detail: error.detail }) };
  if (error instanceof Error) return { message: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }) };
  return { message: String(error) };
}

/** Makes an error of the caller's side out of what came over the wire. */
export function revive(error: WireError): Error {
  if ('code' in error) return new AppError(error.code, error.detail === undefined ? {} : { detail: error.detail });
  const revived = new Error(error.message);
  if (error.stack !== undefined) revived.stack = error.stack;
  return revived;
}
