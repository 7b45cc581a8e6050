/**
 * The entry of a worker thread that lies beside the calling module. Threads always run compiled code: when the caller runs as
 * TypeScript (Vitest, which builds first), the entry is its twin under `dist/`.
 *
 * @param caller  `import.meta.url` of the module that starts the thread
 * @param name  of the entry without extension, relative to the caller: `./thread`
 */
export function threadEntry(caller: string, name: string): URL {
  const compiled = caller.endsWith('.ts') ? caller.replace(/\/src\/(?!.*\/src\/)/, '/dist/src/') : caller;
  return new URL(`${name}.js`, compiled);
}
