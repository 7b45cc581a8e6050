import { threadId } from 'node:worker_threads';
import { AppError } from '../../dist/src/kernel/errors.js';
import { serveTasks } from '../../dist/src/platform/threads/thread-protocol.js';

/** A thread that does on command what threads must not do. */
serveTasks(async ({ kind, value }) => {
  switch (kind) {
    case 'double':
      return { result: value * 2 };
    case 'sleep':
      await new Promise((resolve) => setTimeout(resolve, value));
      return { result: 'slept' };
    case 'refuse':
      throw new AppError('invalid-image', { detail: 'as asked' });
    case 'fail':
      throw new TypeError('as asked');
    case 'starve':
      throw new AppError('out-of-memory');
    case 'thread':
      return { result: threadId };
    case 'spin':
      for (;;) Math.sqrt(2);
    case 'exit':
      return process.exit(3);
    case 'crash':
      setImmediate(() => { throw new Error('outside of any task'); });
      return new Promise(() => undefined);
    case 'memory': {
      const hoard = [];
      for (;;) hoard.push(new Array(100_000).fill(1));
    }
    default:
      return { result: () => 'cannot be cloned' };
  }
});
