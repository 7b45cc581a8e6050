const START = '/';
const LONGEST = 2_000;
/** Those that lead back to the sign-in, or out of it. */
const NOT_A_GOAL = /^\/(login|session)([/?#]|$)/;

/** Where to go after the sign-in: a path of ours, whatever was asked for, so that no link to us leads anywhere else. */
export function localPath(path: string | undefined): string {
  if (path === undefined || path.length > LONGEST || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(path) || NOT_A_GOAL.test(path)) return START;
  // What a browser makes of it, too, stays here.
  const origin = 'http://here.invalid';
  const url = URL.canParse(path, origin) ? new URL(path, origin) : undefined;
  return url?.origin === origin ? path : START;
}
