import { hash, verify } from '@node-rs/argon2';
import { randomBase62 } from './secrets.js';

/** OWASP's first choice for argon2id (the library's default variant): 19 MiB, two passes, one lane. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** A hash of nothing that anybody knows, with the same cost: an unknown account takes as long as a known one. */
const NOBODY = '$argon2id$v=19$m=19456,t=2,p=1$8NxRyoD9UCXY7bCYMMM3xA$9rWuDnsp0aeWm0ez2TYWBXNJob5oGjhKqQM0L80UP0g';

/** @returns a PHC string */
export function hashPassword(password: string): Promise<string> {
  return hash(password.normalize('NFKC'), COST);
}

/** @param passwordHash  of the account; undefined when there is no such account: the answer is false, just as late */
export async function verifyPassword(passwordHash: string | undefined, password: string): Promise<boolean> {
  const matches = await verify(passwordHash ?? NOBODY, password.normalize('NFKC'));
  return matches && passwordHash !== undefined;
}

/** 119 bits. */
export function generatePassword(): string {
  return randomBase62(20);
}

const FREE_FAILURES = 4;
const FIRST_DELAY_SECONDS = 30;
const LONGEST_DELAY_SECONDS = 900;

/** How long the n-th failure in a row keeps out whoever failed: 0 up to the fourth, then 30 s, doubling up to 15 min. */
export function lockSeconds(failures: number): number {
  if (failures <= FREE_FAILURES) return 0;
  return Math.min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** Math.min(failures - FREE_FAILURES - 1, 10));
}

const FREE_STRANGE_FAILURES = 49;
const LONGEST_STRANGE_SECONDS = 60;

/**
 * How long all places wait from which a person has never signed in, after the n-th wrong password of a day from such places together: 0 up to the 49th, then 5 s, doubling up
 * to a minute. Many addresses that guess at one account come to a guess a minute; the person, at a place of theirs, notices nothing.
 */
export function strangersLockSeconds(failures: number): number {
  if (failures <= FREE_STRANGE_FAILURES) return 0;
  return Math.min(LONGEST_STRANGE_SECONDS, 5 * 2 ** Math.min(failures - FREE_STRANGE_FAILURES - 1, 10));
}
