import { generateSecret, generateURI, verify } from 'otplib';

const STEP_SECONDS = 30;
const CODE = /^\d{6}$/;

/** Base32, 160 bits. @see RFC 4226 §4 R6 */
export function newTotpSecret(): string {
  return generateSecret();
}

/** What an authenticator app reads, as a link or a QR code. */
export function totpUri(secret: string, email: string): string {
  return generateURI({ issuer: 'HealthVision', label: email, secret });
}

/** Whether a text can be a code of an authenticator app, which others than those cannot. */
export function isTotpCode(text: string): boolean {
  return CODE.test(text);
}

/**
 * The time step that a code belongs to, of the present one and its neighbours: clocks differ.
 *
 * @returns null when it is of none of them
 * @see RFC 6238 §5.2
 */
export async function stepOfCode(secret: string, code: string): Promise<number | null> {
  if (!isTotpCode(code)) return null;
  const result = await verify({ secret, token: code, epochTolerance: STEP_SECONDS });
  return result.valid && 'timeStep' in result ? result.timeStep : null;
}
