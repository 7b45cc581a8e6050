import { AppError } from '../../kernel/errors.js';
import type { Principal } from '../../platform/http/access.js';

/**
 * Sign-ins, passwords and second factors are the affair of a person who has signed in: a key, which may be in many hands, does
 * not touch them.
 *
 * @throws AppError `forbidden` for a key or a system
 */
export function requirePerson(principal: Principal): Principal {
  if (principal.kind !== 'user') throw new AppError('forbidden', { detail: 'Only a person who has signed in may do this, not a key or a system.' });
  return principal;
}
