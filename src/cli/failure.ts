import { ConfigurationError } from '../platform/config.js';
import { AppError } from '../kernel/errors.js';

/** What a command could not do, for people: a code and one sentence. */
export class CommandError extends Error {
  override readonly name = 'CommandError';

  constructor(
    readonly code: string,
    sentence: string,
    options: ErrorOptions = {},
  ) {
    super(sentence, options);
  }
}

/** `error: <code>: <sentence>`, one line each; the stack too where `stack` is set. */
export function failureLines(error: unknown, stack: boolean): string[] {
  const trace = stack && error instanceof Error && error.stack !== undefined ? [error.stack] : [];
  if (error instanceof ConfigurationError) return error.lines.map((line) => `error: configuration-invalid: ${line}`);
  if (error instanceof AppError || error instanceof CommandError) return [`error: ${error.code}: ${oneLine(error.message)}`, ...trace];
  if (error instanceof Error) return [`error: ${systemCode(error) ?? 'internal'}: ${sentenceOf(error)}`, ...trace];
  return [`error: internal: ${oneLine(String(error))}`];
}

/** Of an error of the file system or the network: `ENOENT` is `file-not-found`. */
function systemCode(error: Error): string | undefined {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const names: Record<string, string> = { ENOENT: 'file-not-found', EACCES: 'permission-denied', EPERM: 'permission-denied', EADDRINUSE: 'port-in-use', ENOSPC: 'storage-full', EISDIR: 'not-a-file', ENOTDIR: 'not-a-folder' };
  return code === undefined ? undefined : (names[code] ?? code.toLowerCase());
}

function sentenceOf(error: Error): string {
  const path = 'path' in error && typeof error.path === 'string' ? error.path : undefined;
  if ('code' in error && error.code === 'ENOENT' && path !== undefined) return `There is no file or folder ${path}`;
  return oneLine(error.message);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, '; ').trim();
}
