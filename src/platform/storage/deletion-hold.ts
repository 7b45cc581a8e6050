/**
 * Advisory lock in the database; random. Who removes blobs for good holds it shared for the length of the transaction, and removes none when it
 * cannot have it; a backup holds it alone, from before its snapshot until the blobs that the snapshot names are copied.
 */
export const DELETION_HOLD = 6_049_281_735_520_913n;
