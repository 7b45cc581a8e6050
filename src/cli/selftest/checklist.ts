import { CommandError } from '../failure.js';

export type StepStatus = 'passed' | 'failed' | 'skipped';

export interface StepRow {
  step: string;
  status: StepStatus;
  seconds: number;
  /** What was seen; of one that failed or was skipped, why. */
  detail: string;
  /** What to do about a failure. */
  advice: string | null;
}

/** Thrown by a step that cannot be tried here: no failure. */
export class Skipped extends Error {}

/** A step's failure with what to do about it. */
export class StepFailure extends CommandError {
  constructor(code: string, sentence: string, readonly advice: string, options: ErrorOptions = {}) {
    super(code, sentence, options);
  }
}

/** The steps of a self-test in their order. One that needs what did not pass is skipped, as is everything after an interruption. */
export class Checklist {
  readonly rows: StepRow[] = [];

  /** @param tell  called as each step ends */
  constructor(
    private readonly interrupted: AbortSignal,
    private readonly tell: (row: StepRow) => void,
  ) {}

  /**
   * @param needs  names of steps that must have passed
   * @param work  gives what it saw; throws `Skipped`, or anything else as a failure
   * @returns what `work` made, when the step passed
   */
  async step<T>(step: string, needs: readonly string[], work: () => Promise<{ detail: string; made?: T }>): Promise<T | undefined> {
    const started = performance.now();
    const end = (status: StepStatus, detail: string, advice: string | null = null): void => {
      const row = { step, status, seconds: Math.round(performance.now() - started) / 1000, detail, advice };
      this.rows.push(row);
      this.tell(row);
    };
    const missing = needs.find((name) => this.rows.find((row) => row.step === name)?.status !== 'passed');
    if (this.isInterrupted()) {
      end('skipped', 'interrupted');
      return undefined;
    }
    if (missing !== undefined) {
      end('skipped', `needs "${missing}"`);
      return undefined;
    }
    try {
      const { detail, made } = await work();
      end('passed', detail);
      return made;
    } catch (error) {
      if (error instanceof Skipped) end('skipped', error.message);
      else if (this.isInterrupted()) end('failed', 'interrupted');
      else end('failed', sentenceOf(error), adviceOf(error));
      return undefined;
    }
  }

  /** Between the parts of a step. @throws CommandError `interrupted` */
  assertGoesOn(): void {
    if (this.isInterrupted()) throw new CommandError('interrupted', 'It was interrupted');
  }

  private isInterrupted(): boolean {
    return this.interrupted.aborted;
  }
}

function sentenceOf(error: unknown): string {
  if (error instanceof CommandError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

/** By the code of the problem, for what any step may meet. */
const ADVICE: Readonly<Record<string, string>> = {
  'unreachable': 'Is the address right (--url), is the product running, and does every proxy and firewall between let this machine through?',
  'unauthenticated': 'The key or token is not valid here: expired, revoked, of another installation, or bound to other addresses. Make a new key with POST /api/v1/api-keys.',
  'invalid-client': 'HEALTHVISION_CLIENT_ID and HEALTHVISION_CLIENT_SECRET are not those of a client of this installation.',
  'invalid-grant': 'User name or password are wrong, or a second factor is wanted (--otp); an API key needs neither.',
  'institution-suspended': 'The institution of these credentials is suspended: use those of another.',
  'second-factor-required': 'The institution asks for a second factor: use an API key.',
  'too-many-requests': 'A rate limit was met: wait a minute. See "Rate limits" in docs/configuration.md.',
  'storage-full': 'The file system of the blobs is down to STORAGE_RESERVE_BYTES: make room.',
  'storage-unavailable': 'The blob store does not answer: see GET /ready and the log.',
  'database-unavailable': 'PostgreSQL does not answer: see GET /ready and the log.',
  'overloaded': 'The installation is busy: try again when it has less to do.',
};

function adviceOf(error: unknown): string {
  if (error instanceof StepFailure) return error.advice;
  const code = error instanceof CommandError ? error.code : '';
  return ADVICE[code] ?? 'The log of the installation says more; look for the request ids that begin with that of this self-test.';
}
