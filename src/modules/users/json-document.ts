const MOST_BYTES = 256 * 1024;
const TIMEOUT_MS = 5_000;

/** As much of fetch as a document needs; a guarded one stands in for addresses that users name. */
export type FetchDocument = (url: string, options: { redirect: 'error'; signal: AbortSignal; headers: Record<string, string> }) => Promise<Response>;

/**
 * The JSON of a small public document, such as keys or discovery.
 *
 * @throws Error when it does not come within 5 s, is larger than 256 KiB, sends us elsewhere, or is no JSON
 */
export async function readJsonDocument(url: string, fetchDocument: FetchDocument = fetch): Promise<unknown> {
  const response = await fetchDocument(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS), headers: { accept: 'application/json, application/jwk-set+json' } });
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    throw new Error(`answered ${String(response.status)}`);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    // Node's streams of the web are iterable; the types of the browser's are not.
    length += chunk.byteLength;
    if (length > MOST_BYTES) throw new Error('is too large');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
}
