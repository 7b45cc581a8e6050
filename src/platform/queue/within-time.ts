import { AppError } from '../../kernel/errors.js';

/**
 * A queue whose server is away makes its caller wait for ever.
 *
 * @throws AppError `queue-unavailable` when `work` takes longer than `timeoutMs`, and whatever `work` throws before
 */
export async function withinTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(new AppError('queue-unavailable')); }, timeoutMs); });
  // Nobody listens any more when it fails later.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
