import { AppError } from '../../../kernel/errors.js';
import type { Principal } from '../../../platform/http/access.js';
import { FHIR_PERMISSIONS } from '../../users/users.contract.js';
import type { FhirType } from './search-parameters.js';

/** By id, or by search: SMART scopes tell them apart. */
export type Manner = 'r' | 's';

/**
 * Whether somebody may read resources of a type. A SMART scope names one type, which is narrower than the permission that it
 * stands for: a token for Observations reads no DiagnosticReports.
 *
 * @see SMART App Launch 2.2, Scopes and Launch Context
 */
export function mayRead({ permissions, scopes }: Pick<Principal, 'permissions' | 'scopes'>, type: FhirType, manner: Manner): boolean {
  const permission = FHIR_PERMISSIONS[type];
  if (!permissions.has(permission)) return false;
  if (scopes === undefined || scopes.includes(permission)) return true;
  return [type, '*'].some((named) => ['read', 'rs', manner].some((how) => scopes.includes(`system/${named}.${how}`)));
}

/** @throws AppError `forbidden` */
export function requireReading(principal: Pick<Principal, 'permissions' | 'scopes'>, type: FhirType, manner: Manner): void {
  if (!mayRead(principal, type, manner)) throw new AppError('forbidden', { detail: `This needs the scope system/${type}.${manner}.` });
}
