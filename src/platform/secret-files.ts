import { readFileSync } from 'node:fs';

/** Variables that hold a secret, or may. Each may be given as `<NAME>_FILE`, the path of a file with the value: an environment is shown by more tools than a file that one account may read. */
export const SECRET_VARIABLES = [
  'DATABASE_URL', 'DATABASE_MIGRATION_URL', 'REDIS_URL', 'REDIS_SENTINEL_PASSWORD', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY', 'BOOTSTRAP_ADMIN_PASSWORD', 'MASTER_KEY', 'MASTER_KEY_PREVIOUS', 'SMTP_URL',
] as const;

const REASONS: Readonly<Record<string, string>> = { ENOENT: 'there is no such file', EACCES: 'this account may not read the file', EISDIR: 'is a folder' };

/**
 * Reads the secrets that are given as files. Line breaks at the end of a file are not part of its value.
 *
 * @param given  variables that are set
 * @returns the variables with the values of the files among them, and a line for each file that is of no use
 */
export function withSecretFiles(given: Readonly<Record<string, string | undefined>>): { variables: Record<string, string | undefined>; faults: string[] } {
  const variables = { ...given };
  const faults: string[] = [];
  for (const name of SECRET_VARIABLES) {
    const file = given[`${name}_FILE`];
    if (file === undefined) continue;
    if (given[name] !== undefined) {
      faults.push(`${name}, ${name}_FILE: give one of them`);
      continue;
    }
    const content = contentOf(file);
    if ('fault' in content) faults.push(`${name}_FILE: ${content.fault}`);
    else variables[name] = content.value;
  }
  return { variables, faults };
}

function contentOf(file: string): { value: string } | { fault: string } {
  try {
    const value = readFileSync(file, 'utf8').replace(/[\r\n]+$/, '');
    return value === '' ? { fault: 'the file is empty' } : { value };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return { fault: REASONS[code] ?? `the file cannot be read (${code})` };
  }
}
