/** @throws what `late` makes when `work` takes longer than `timeoutMs`, and whatever `work` throws before */
export async function withinTime<T>(work: Promise<T>, timeoutMs: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(late()); }, timeoutMs); });
  // Nobody listens any more when it fails later.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
  }
}
