import { Injectable } from '@nestjs/common';

/** What else must be there for this process to be ready, beside what every process needs. */
@Injectable()
export class Readiness {
  private readonly required = new Map<string, () => Promise<void>>();

  get parts(): ReadonlyMap<string, () => Promise<void>> {
    return this.required;
  }

  /**
   * @param name  as `/ready` has it
   * @param ask  rejects while the part is not there
   */
  require(name: string, ask: () => Promise<void>): void {
    this.required.set(name, ask);
  }
}
