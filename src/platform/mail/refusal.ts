const REFUSED: Readonly<Record<string, 'address' | 'message'>> = { EENVELOPE: 'address', EMESSAGE: 'message' };

/** What a relay will not take later either, by an error of nodemailer; undefined when another try may help. @see RFC 5321 §4.2.1 */
export function refusalOf(error: unknown): 'address' | 'message' | undefined {
  if (!(error instanceof Error && 'code' in error && 'responseCode' in error && typeof error.responseCode === 'number' && error.responseCode >= 500)) return undefined;
  return REFUSED[String(error.code)];
}
