/** Of everything that a scrape asks: a scraper that gets nothing within its own patience loses all other metrics too, when they are wanted most. */
const PATIENCE_MS = 1_000;

/** What `work` gives; undefined when it fails, or takes longer than a scrape should. */
export async function soon<T>(work: Promise<T>, patienceMs = PATIENCE_MS): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => { timer = setTimeout(() => { resolve(undefined); }, patienceMs); });
  try {
    return await Promise.race([work.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}
