import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { serveTasks } from '../../../platform/threads/thread-protocol.js';

export interface StrengthTask {
  /** NFKC. */
  password: string;
  /** What an attacker would try first for this person. */
  about: readonly string[];
}

export interface Strength {
  /** On the list of passwords that were seen in breaches, or are famous. */
  known: boolean;
  /** zxcvbn's: 0 falls at once, 4 withstands offline guessing. */
  score: number;
}

/** Estimating takes time that grows with the square of the length and more; whoever types this much is not guessed. */
const ESTIMATED_LENGTH = 100;

/** Of books, comics and manuals, this one's included: long, and still tried first. */
const FAMOUS = ['correct horse battery staple', 'correcthorsebatterystaple', 'correct-horse-battery-staple', 'to be or not to be', 'the quick brown fox jumps over the lazy dog', 'may the force be with you'];

const known = new Set([...dictionary['passwords-common'], ...FAMOUS]);
const zxcvbn = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs });

serveTasks((message) => {
  // Only PasswordPolicy sends messages here.
  const { password, about } = message as StrengthTask;
  const { score } = zxcvbn.check(password.slice(0, ESTIMATED_LENGTH), [...about]);
  return Promise.resolve({ result: { known: known.has(password.toLowerCase()), score } satisfies Strength });
});
