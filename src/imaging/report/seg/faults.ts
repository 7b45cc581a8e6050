import type { DerivedFault } from '../derived.js';

/** One mistake of a writer stands in every frame: so many of a kind say enough. */
const MAX_PER_CHECK = 5;

/** What is wrong with an object; the first of each kind, and how many more there are. */
export class Faults {
  private readonly found = new Map<DerivedFault['check'], string[]>();

  add(check: DerivedFault['check'], detail: string): void {
    this.found.set(check, [...(this.found.get(check) ?? []), detail]);
  }

  list(): DerivedFault[] {
    return [...this.found].flatMap(([check, details]) => {
      const more = details.length - MAX_PER_CHECK;
      return [...details.slice(0, MAX_PER_CHECK), ...(more > 0 ? [`and ${String(more)} more`] : [])].map((detail) => ({ check, detail }));
    });
  }
}
