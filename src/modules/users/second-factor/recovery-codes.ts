import { randomInt } from 'node:crypto';
import { sha256Hex } from '../secrets.js';

export const RECOVERY_CODES = 10;
const GROUPS = 4;
const GROUP_LENGTH = 4;
/** Crockford's base 32: nothing that is read as something else. */
const LETTERS = '0123456789abcdefghjkmnpqrstvwxyz';
const CODE = new RegExp(`^[${LETTERS}]{${String(GROUPS * GROUP_LENGTH)}}$`);

/** Ten codes of 80 bits each, `xxxx-xxxx-xxxx-xxxx`: so long that a plain digest keeps them. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: RECOVERY_CODES }, () => Array.from({ length: GROUPS }, group).join('-'));
}

/** As it is stored; undefined for what cannot be such a code. Capitals, spaces and dashes do not count, O is 0, I and L are 1. */
export function recoveryCodeHash(userId: string, text: string): string | undefined {
  const code = text.toLowerCase().replace(/[\s-]/g, '').replaceAll('o', '0').replace(/[il]/g, '1');
  if (!CODE.test(code)) return undefined;
  return sha256Hex(`${userId}\n${code}`);
}

function group(): string {
  return Array.from({ length: GROUP_LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join('');
}
