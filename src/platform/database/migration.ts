export interface Migration {
  /** `<timestamp>_<name>`, its folder. */
  name: string;
  sql: string;
}

/** Held by the transaction of a migration that runs; random. */
export const SCRIPT_LOCK = '2705816904417752';
