import type { Config } from '../config.js';

/** Of variables whose values are secrets, or may hold one. New ones are left out as well when they are named as the others are. */
const SECRET = /KEY|SECRET|PASSWORD|PASSPHRASE|TOKEN|CREDENTIAL/;
/** Paths and public identifiers. */
const HARMLESS = /_(?:FILE|ID|TTL|HOURS|MINUTES|SECONDS)$/;

export type Settings = Readonly<Record<string, unknown>>;

/** What the environment decides, without secrets: those are not even named. URLs lose the user and password in them. */
export function publicSettings(config: Config): Settings {
  const entries = Object.entries(config).filter(([name, value]) => value !== undefined && /^[A-Z][A-Z0-9_]*$/.test(name) && (!SECRET.test(name) || HARMLESS.test(name)));
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => [name, withoutCredentials(value)]));
}

/** Names of the settings that differ. */
export function differences(a: Settings, b: Settings): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name])).sort();
}

function withoutCredentials(value: unknown): unknown {
  if (typeof value === 'string') return /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? withoutUser(value) : value;
  if (Array.isArray(value)) return value.map(withoutCredentials);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !SECRET.test(name.toUpperCase())).map(([name, inner]) => [name, withoutCredentials(inner)]));
}

/** Not by the class URL, which refuses some of PostgreSQL's. Up to its last `@` a URL may be user and password, however they are written. */
function withoutUser(url: string): string {
  const [, scheme = '', rest = ''] = /^([^:]+:\/\/)(.*)$/s.exec(url) ?? [];
  const [place = '', query = ''] = rest.slice(rest.lastIndexOf('@') + 1).split('?');
  const kept = query.split('&').filter((part) => part !== '' && !/^[^=]*(?:user|secret|token|key|pass)/i.test(part));
  return `${scheme}${place}${kept.length > 0 ? `?${kept.join('&')}` : ''}`;
}
