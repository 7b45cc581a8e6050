import type { DerivedFault } from '../../imaging/report/derived.js';
import { AppError } from '../../kernel/errors.js';
import type { DerivedOutcome } from '../images/images.contract.js';

/** What became of the study since it was read. @throws AppError `study-deleted`, `blob-missing` */
export function faultsOf(outcome: DerivedOutcome): DerivedFault[] {
  switch (outcome) {
    case 'stored':
      return [];
    case 'input-changed':
      return [{ check: 'reference', detail: 'Images that were read were replaced or removed before the result was stored' }];
    case 'uid-taken':
      return [{ check: 'reference', detail: 'An object of the result has a UID that another instance has' }];
    case 'study-gone':
      throw new AppError('study-deleted');
    case 'blob-lost':
      throw new AppError('blob-missing');
  }
}
