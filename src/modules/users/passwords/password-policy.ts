import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { AppError, type FieldError, type Language } from '../../../kernel/errors.js';
import { threadEntry } from '../../../platform/threads/thread-entry.js';
import { ThreadPool } from '../../../platform/threads/thread-pool.js';
import type { Strength, StrengthTask } from './strength.thread.js';

export const MIN_PASSWORD_LENGTH = 12;
export const MAX_PASSWORD_LENGTH = 256;

/** zxcvbn's "safely unguessable": an online attacker needs more than 10⁸ tries. */
const MIN_SCORE = 3;
/** Shorter words appear in passwords by chance. */
const MIN_WORD_LENGTH = 4;
const PRODUCT = ['healthvision'];

export const PASSWORD_FAULTS = {
  'too-short': { 'en': `It must have at least ${String(MIN_PASSWORD_LENGTH)} characters.`, 'zh-CN': `至少需要 ${String(MIN_PASSWORD_LENGTH)} 个字符。` },
  'too-long': { 'en': `It must have at most ${String(MAX_PASSWORD_LENGTH)} characters.`, 'zh-CN': `最多 ${String(MAX_PASSWORD_LENGTH)} 个字符。` },
  'known': { 'en': 'It is on the list of passwords that were seen in breaches or are tried first.', 'zh-CN': '该密码在已泄露或常见密码列表中。' },
  'personal': { 'en': 'It contains a name, an e-mail address, or the name of this product.', 'zh-CN': '密码中包含姓名、电子邮件地址或本产品名称。' },
  'guessable': { 'en': 'It is too easy to guess: take more words, or less of a pattern.', 'zh-CN': '该密码太容易被猜中：请使用更多词语，避免规律。' },
} as const satisfies Record<string, Record<Language, string>>;

export type PasswordFault = keyof typeof PASSWORD_FAULTS;

/** Whose password it is to be. */
export interface PasswordOwner {
  email: string;
  displayName: string;
}

/**
 * What passwords must be: long enough, on no list, nothing personal, hard to guess. Works without a network.
 * @see NIST SP 800-63B §5.1.1.2, OWASP ASVS 5 §6.2
 */
@Injectable()
export class PasswordPolicy implements OnApplicationShutdown {
  /** The list and the estimate take tens of milliseconds and some memory: a thread of their own, started when somebody chooses a password, and gone after it. */
  private readonly threads = new ThreadPool(threadEntry(import.meta.url, './strength.thread'), { threads: 1, timeoutMs: 10_000, idleMs: 5_000 });

  /** @throws AppError `overloaded`, `processing-timeout` */
  async faultsOf(password: string, owner: PasswordOwner): Promise<PasswordFault[]> {
    const text = password.normalize('NFKC');
    const length = charactersOf(text);
    if (length > MAX_PASSWORD_LENGTH) return ['too-long'];
    const words = wordsOf(owner);
    // The thread answers this task with a strength.
    const { known, score } = (await this.threads.run({ password: text, about: words } satisfies StrengthTask)) as Strength;
    const faults: PasswordFault[] = [];
    if (length < MIN_PASSWORD_LENGTH) faults.push('too-short');
    if (known) faults.push('known');
    if (words.some((word) => text.toLowerCase().includes(word))) faults.push('personal');
    if (score < MIN_SCORE) faults.push('guessable');
    return faults;
  }

  /**
   * @param pointer  of the field that holds it
   * @throws AppError `weak-password`, with every reason
   */
  async require(password: string, owner: PasswordOwner, pointer: string, language: Language): Promise<void> {
    const faults = await this.faultsOf(password, owner);
    if (faults.length === 0) return;
    const errors: FieldError[] = faults.map((fault) => ({ pointer, detail: PASSWORD_FAULTS[fault][language] }));
    throw new AppError('weak-password', { detail: errors.map(({ detail }) => detail).join(' '), errors });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.threads.close();
  }
}

/** Address, its local part, and the words of both and of the name, in lower case. */
function wordsOf({ email, displayName }: PasswordOwner): string[] {
  const [local = ''] = email.split('@');
  const parts = [email, local, ...local.split(/[^\p{L}\p{N}]+/u), displayName, ...displayName.split(/[^\p{L}\p{N}]+/u), ...PRODUCT];
  return [...new Set(parts.map((part) => part.normalize('NFKC').toLowerCase()).filter((part) => charactersOf(part) >= MIN_WORD_LENGTH || isHan(part)))];
}

/** Code points: what NIST SP 800-63B counts. */
function charactersOf(text: string): number {
  return Array.from(text).length;
}

/** Chinese names are short, and nobody types them by chance. */
function isHan(text: string): boolean {
  return /^\p{Script=Han}{2,}$/u.test(text);
}
