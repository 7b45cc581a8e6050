/** Refused: Out of Resources, A7xx, and Processing Failure, 0110: may pass. STOW-RS has the same reasons. @see PS3.4 B.2.3, PS3.7 C.5.11, PS3.18 Table I.2-2 */
export function mayPass(reason: number): boolean {
  return (reason & 0xff00) === 0xa700 || reason === 0x0110;
}

/** Duplicate SOP Instance: an earlier try, whose answer was lost, has stored it; nobody else makes objects with our UIDs. @see PS3.7 Annex C */
export function isThereAlready(reason: number): boolean {
  return reason === 0x0111;
}

/** Several of them as people look them up: `0xA700, 0x0122`. */
export function reasonsText(reasons: readonly number[]): string {
  return [...new Set(reasons)].map((reason) => `0x${reason.toString(16).toUpperCase().padStart(4, '0')}`).join(', ');
}
