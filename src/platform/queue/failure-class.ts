import { AppError, type ErrorCode } from '../../kernel/errors.js';
import { isDatabaseAway } from '../database/database-errors.js';
import { refusalOf } from '../mail/refusal.js';

/**
 * What kind of trouble a job met. `transient`: it passes by itself. `out-of-memory`: it may pass once others are done. `bad-input`: every try
 * would meet it again. `bug`: anything else, of ours or of a library.
 */
export const FAILURE_CLASSES = ['transient', 'out-of-memory', 'bad-input', 'bug'] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];

/** Codes whose status does not tell. Of the others those below 500 blame what was asked for, and 502, 503, 504 and 507 the surroundings. */
const BY_CODE: Readonly<Partial<Record<ErrorCode, FailureClass>>> = {
  'request-timeout': 'transient', 'too-many-requests': 'transient', 'thread-lost': 'transient', 'processing-timeout': 'transient',
  'out-of-memory': 'out-of-memory',
  // Ours, and yet no later try meets anything else.
  'blob-missing': 'bad-input', 'blob-corrupt': 'bad-input', 'model-load-failed': 'bad-input', 'model-output-invalid': 'bad-input', 'configuration-invalid': 'bad-input',
};
const SURROUNDINGS: ReadonlySet<number> = new Set([502, 503, 504, 507]);

/** Of Node, of libuv, of PostgreSQL (class 40: transaction rollback; 55P03: lock not available) and of Prisma. */
const PASSING = /^(E(CONN(REFUSED|RESET|ABORTED)|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|AI_AGAIN|NOSPC|DQUOT|MFILE|NFILE|BUSY|AGAIN)|UND_ERR_\w+|40\w{3}|55P03|P20(24|28|34))$/;
/** Of nodemailer: a relay that is away, will not talk, or takes nothing just now. */
const RELAY = /^E(CONNECTION|SOCKET|DNS|TLS|PROTOCOL|AUTH|ENVELOPE|MESSAGE)$/;
const MEMORY = /^(ENOMEM|ERR_WORKER_OUT_OF_MEMORY|53200)$/;
/** Causes are followed so deep. */
const DEPTH = 5;

/** Never throws, whatever was thrown. */
export function failureClassOf(error: unknown): FailureClass {
  for (let current = error, depth = 0; current instanceof Error && depth < DEPTH; current = current.cause, depth++) {
    if (current instanceof AppError) return classOfCode(current);
    if (isDatabaseAway(current)) return 'transient';
    const code = 'code' in current ? String(current.code) : '';
    if (MEMORY.test(code) || (current instanceof RangeError && /allocation failed/i.test(current.message))) return 'out-of-memory';
    if (RELAY.test(code)) return refusalOf(current) === undefined ? 'transient' : 'bad-input';
    if (PASSING.test(code) || current.name === 'TimeoutError') return 'transient';
  }
  return 'bug';
}

function classOfCode({ code, status }: AppError): FailureClass {
  return BY_CODE[code] ?? (SURROUNDINGS.has(status) ? 'transient' : status < 500 ? 'bad-input' : 'bug');
}

interface Patience {
  tries: number;
  /** Doubles with every try. */
  firstWaitMs: number;
}

const LONGEST_WAIT_MS = 600_000;
/** Half an hour passes by the thirteenth, two hours by the twenty-fourth. */
const TRANSIENT: Patience = { tries: 24, firstWaitMs: 500 };
const PATIENCE: Readonly<Record<FailureClass, Patience>> = {
  'transient': TRANSIENT,
  'out-of-memory': { tries: 5, firstWaitMs: 15_000 },
  'bad-input': { tries: 1, firstWaitMs: 0 },
  'bug': { tries: 3, firstWaitMs: 500 },
};

/** The most tries that a job may have, whatever it meets. @param transientTries  of its definition */
export function mostTries(transientTries: number = TRANSIENT.tries): number {
  return Math.max(transientTries, PATIENCE['out-of-memory'].tries);
}

/**
 * How long a job waits that has failed, with jitter; undefined when it is parked.
 *
 * @param triesMade  1 after the first
 * @param transientTries  of its definition, where it has a number of its own
 */
export function waitAfter(failure: FailureClass, triesMade: number, transientTries: number = TRANSIENT.tries, random: () => number = Math.random): number | undefined {
  const { tries, firstWaitMs } = PATIENCE[failure];
  const most = failure === 'transient' ? transientTries : Math.min(tries, Math.max(1, transientTries));
  if (triesMade >= most) return undefined;
  return Math.round(Math.min(firstWaitMs * 2 ** (triesMade - 1), LONGEST_WAIT_MS) * (0.5 + random() / 2));
}
