import type { Config } from '../config.js';

/** Where people find this installation, without a slash at the end. Never what a request said its host was: a mail would lead to wherever its sender likes. */
export function publicUrl({ PUBLIC_URL, PORT, TLS_CERT_FILE }: Pick<Config, 'PUBLIC_URL' | 'PORT' | 'TLS_CERT_FILE'>): string {
  return PUBLIC_URL ?? `${TLS_CERT_FILE === undefined ? 'http' : 'https'}://localhost:${String(PORT)}`;
}
