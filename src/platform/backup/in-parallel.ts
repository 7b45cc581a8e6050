/** Does `work` for everything that comes, several at a time. The first failure stops the rest and is thrown once those under way have ended. */
export async function inParallel<T>(source: AsyncIterable<T> | Iterable<T>, workers: number, work: (item: T) => Promise<void>): Promise<void> {
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  const run = async (): Promise<void> => {
    try {
      for (let step = await items.next(); step.done !== true && !failure; step = await items.next()) await work(step.value);
    } catch (error) {
      failure ??= { error };
    }
  };
  await Promise.all(Array.from({ length: workers }, run));
  await items.return?.(undefined);
  if (failure) throw failure.error;
}
