import type { ParsedInstance } from '../../../imaging/dicom/header.js';

/** Instances that are described in memory, and the fragments of all of them: some 50 bytes each. */
const MOST = 512;
const MOST_FRAGMENTS = 600_000;

/** How the pixels of instances lie, least recently used out first: viewers ask frame by frame. */
export class DescribedImages {
  private readonly byId = new Map<string, ParsedInstance>();
  private fragments = 0;

  /** @param id  of the instance, which is another one for other bytes */
  get(id: string): ParsedInstance | undefined {
    const known = this.byId.get(id);
    if (known === undefined) return undefined;
    this.byId.delete(id);
    this.byId.set(id, known);
    return known;
  }

  /** Requests that come at once describe an image each; the first description stays. */
  remember(id: string, parsed: ParsedInstance): void {
    const fragments = fragmentCount(parsed);
    if (this.byId.has(id) || parsed.inflated !== undefined || fragments > MOST_FRAGMENTS) return;
    this.byId.set(id, parsed);
    this.fragments += fragments;
    for (const [oldest, one] of this.byId) {
      if (this.byId.size <= MOST && this.fragments <= MOST_FRAGMENTS) return;
      this.byId.delete(oldest);
      this.fragments -= fragmentCount(one);
    }
  }
}

function fragmentCount({ pixelData }: ParsedInstance): number {
  return pixelData?.encoding === 'encapsulated' ? pixelData.fragments.length : 0;
}
