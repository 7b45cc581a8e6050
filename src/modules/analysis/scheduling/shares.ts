/** What an institution computed counts half after so long. */
export const SHARE_HALF_LIFE_SECONDS = 600;
/** One run weighs no more than this, however long ago it first started. */
export const LONGEST_SHARE_SECONDS = 900;
