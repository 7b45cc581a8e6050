/** What `new Worker` needs to run a module of ours. */
export interface ThreadEntry {
  url: URL;
  execArgv: string[];
}

/**
 * The entry of a worker thread that lies beside the calling module: compiled when the caller is compiled, and the TypeScript
 * source through the tests' loader when the caller runs as TypeScript (Vitest).
 *
 * @param caller  `import.meta.url` of the module that starts the thread
 * @param name  of the entry without extension, relative to the caller: `./thread`
 */
export function threadEntry(caller: string, name: string): ThreadEntry {
  if (!caller.endsWith('.ts')) return { url: new URL(`${name}.js`, caller), execArgv: [] };
  const root = caller.slice(0, caller.lastIndexOf('/src/') + 1);
  return { url: new URL(`${name}.ts`, caller), execArgv: ['--import', new URL('test/support/typescript-loader.mjs', root).href] };
}
