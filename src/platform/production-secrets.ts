/** What stands in examples, defaults and manuals, in lower case without punctuation and without digits at the end. */
const WELL_KNOWN: ReadonlySet<string> = new Set([
  'abc', 'admin', 'adminadmin', 'administrator', 'changeit', 'changeme', 'changemenow', 'default', 'demo', 'example', 'examplepassword', 'foobar', 'foobared', 'guest', 'healthvision', 'insertpasswordhere', 'letmein',
  'minio', 'minioadmin', 'miniopassword', 'miniosecret', 'mypassword', 'mysecret', 'mysecretpassword', 'none', 'null', 'pass', 'passw0rd', 'passwd', 'password', 'pgpassword', 'postgres', 'postgrespassword', 'postgrespw', 'postgresql',
  'qwerty', 'redis', 'redispassword', 'replaceme', 'root', 'rootroot', 'secret', 'secretpassword', 'supersecret', 'test', 'testing', 'testtest', 'todo', 'toor', 'topsecret', 'undefined', 'user', 'welcome', 'yourpassword', 'yourpasswordhere',
  'yoursecret', 'yourstrongpassword',
  // Of AWS's documentation.
  'wjalrxutnfemik7mdengbpxrficyexamplekey',
]);
const PLACEHOLDER = /^<.*>$|\$\{|\{\{/;
/** As people choose them here: `MIN_PASSWORD_LENGTH` of the module that the platform does not know; a test holds them together. */
export const SHORTEST_PASSWORD = 12;
const KEY_BYTES = 32;
/** Of 32 random bytes some 30 are different; fewer than 20 are so once in a trillion times. */
const DIFFERENT_BYTES = 20;

/** The user, password and host of a URL; each empty where it has none. `host` is empty for a socket of this machine too. */
interface Login {
  user: string;
  password: string;
  host: string;
  query: URLSearchParams;
}

/**
 * What must not be in production: secrets that are missing, or that anybody would try first. Never says what they are.
 *
 * @param given  the environment
 * @returns a line for each
 */
export function productionFaults(given: Readonly<Record<string, string | undefined>>): string[] {
  const fault = (name: string, what: string | undefined): string[] => (what === undefined ? [] : [`${name}: ${what}`]);
  return [
    ...fault('MASTER_KEY', keyFault(given.MASTER_KEY)),
    ...fault('BOOTSTRAP_ADMIN_PASSWORD', given.BOOTSTRAP_ADMIN_PASSWORD === undefined ? undefined : personFault(given.BOOTSTRAP_ADMIN_PASSWORD, given.BOOTSTRAP_ADMIN_EMAIL)),
    ...['DATABASE_URL', 'DATABASE_MIGRATION_URL'].flatMap((name) => fault(name, databaseFault(given[name], given))),
    ...fault('REDIS_URL', urlFault(given.REDIS_URL)),
    ...fault('REDIS_SENTINEL_PASSWORD', isWellKnown(given.REDIS_SENTINEL_PASSWORD) ? 'is a password that anybody would try first' : undefined),
    ...fault('S3_SECRET_ACCESS_KEY', isWellKnown(given.S3_SECRET_ACCESS_KEY) || (given.S3_SECRET_ACCESS_KEY !== undefined && given.S3_SECRET_ACCESS_KEY === given.S3_ACCESS_KEY_ID) ? 'is a secret that anybody would try first' : undefined),
  ];
}

function keyFault(text: string | undefined): string | undefined {
  if (text === undefined) return 'is required when NODE_ENV=production (openssl rand -base64 32)';
  const key = Buffer.from(text, 'base64');
  // Which is told in any case.
  if (key.length !== KEY_BYTES) return undefined;
  const steps = new Set(key.subarray(1).map((byte, index) => byte - (key[index] ?? 0)));
  const isText = key.every((byte) => byte >= 0x20 && byte < 0x7f);
  const isRepeated = key.subarray(0, KEY_BYTES / 2).equals(key.subarray(KEY_BYTES / 2));
  return new Set(key).size < DIFFERENT_BYTES || steps.size === 1 || isText || isRepeated ? 'is not random: anybody could guess it (openssl rand -base64 32)' : undefined;
}

/** The rest of what passwords of people must be is asked where they are kept. */
function personFault(password: string, email = ''): string | undefined {
  if (Array.from(password.normalize('NFKC')).length < SHORTEST_PASSWORD) return `must have at least ${String(SHORTEST_PASSWORD)} characters in production`;
  return isWellKnown(password) || (email !== '' && password.toLowerCase().includes(email.toLowerCase())) ? 'is a password that anybody would try first' : undefined;
}

/** A socket asks the operating system who comes, and so may a certificate; others find their password elsewhere. */
function databaseFault(url: string | undefined, { PGPASSWORD, PGPASSFILE }: Readonly<Record<string, string | undefined>>): string | undefined {
  const login = loginOf(url);
  const isProven = login?.host === '' || login?.query.has('sslcert') === true || PGPASSFILE !== undefined;
  return login && loginFault({ ...login, password: login.password || (PGPASSWORD ?? '') }, isProven);
}

function urlFault(url: string | undefined): string | undefined {
  const login = loginOf(url);
  return login && loginFault(login, false);
}

function loginFault({ user, password }: Login, isProven: boolean): string | undefined {
  if (password === '') return isProven ? undefined : 'has no password';
  return isWellKnown(password) || password === user ? 'its password is one that anybody would try first' : undefined;
}

/** Not by the class URL, which refuses `postgresql://user@/name?host=/socket`. */
function loginOf(url: string | undefined): Login | undefined {
  const match = /^[a-z]+:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?([^/?]*)[^?]*(?:\?(.*))?$/s.exec(url ?? '');
  if (!match) return undefined;
  const [, user = '', password = '', place = '', text = ''] = match;
  const query = new URLSearchParams(text);
  const host = query.get('host') ?? place;
  return { user: decoded(query.get('user') ?? user), password: query.get('password') ?? decoded(password), host: host.startsWith('/') ? '' : host, query };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function isWellKnown(secret: string | undefined): boolean {
  if (secret === undefined) return false;
  const plain = secret.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  return PLACEHOLDER.test(secret) || WELL_KNOWN.has(plain) || WELL_KNOWN.has(plain.replace(/\d+$/, '')) || /^\d{0,10}$/.test(plain) || new Set(plain).size < 3;
}
