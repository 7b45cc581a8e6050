import { AppError } from '../../../kernel/errors.js';
import { isAllowed } from '../../../platform/http/addresses.js';
import type { FoundCaller } from './dimse-callers.store.js';
import type { RejectionCause } from './protocol.js';

export interface AeTitles {
  callingAeTitle: string;
  calledAeTitle: string;
}

/** @see PS3.5 §6.2, AE */
const AE_TITLE = /^[\x20-\x5b\x5d-\x7e]{1,16}$/;
/** A caller that was taken off the list, or whose institution was suspended, sends no more after this. */
const KNOWN_MS = 5_000;

/** Who calls: asked at the door, and again and again while the association lasts. */
export class CallerCheck {
  private known: { institutionId: string; checkedAt: number } | undefined;
  private titles: AeTitles | undefined;

  /**
   * @param address  that the connection comes from
   * @param findCaller  throws AppError `database-unavailable`
   */
  constructor(
    private readonly ownAeTitle: string,
    private readonly address: string | undefined,
    private readonly findCaller: (aeTitle: string) => Promise<FoundCaller | undefined>,
  ) {}

  /** As it calls itself; empty before `admit`. */
  get aeTitle(): string {
    return this.titles?.callingAeTitle ?? '';
  }

  /** As it calls us. */
  get calledAeTitle(): string {
    return this.titles?.calledAeTitle ?? '';
  }

  /**
   * @returns why the association is rejected, or undefined when it is not
   * @throws AppError `database-unavailable`
   */
  async admit(titles: AeTitles): Promise<RejectionCause | undefined> {
    this.titles = titles;
    if (titles.calledAeTitle !== this.ownAeTitle) return 'called-ae-unknown';
    const caller = AE_TITLE.test(titles.callingAeTitle) ? await this.findCaller(titles.callingAeTitle) : undefined;
    if (!caller) return 'calling-ae-unknown';
    if (!isAllowed(caller.addresses, this.address)) return 'address-not-allowed';
    if (caller.institutionState !== 'active') return 'institution-suspended';
    this.known = { institutionId: caller.institutionId, checkedAt: performance.now() };
    return undefined;
  }

  /**
   * Whose images the caller sends.
   *
   * @throws AppError `forbidden` when it was taken off the list, given to another institution, or its institution suspended since; `database-unavailable`
   */
  async institutionId(): Promise<string> {
    const { known } = this;
    if (!known) throw new AppError('forbidden');
    if (performance.now() - known.checkedAt > KNOWN_MS) {
      const caller = await this.findCaller(this.aeTitle);
      if (caller?.institutionId !== known.institutionId || caller.institutionState !== 'active' || !isAllowed(caller.addresses, this.address)) throw new AppError('forbidden');
      known.checkedAt = performance.now();
    }
    return known.institutionId;
  }
}
