import { z } from 'zod';
import { CommandError } from '../failure.js';
import type { Authorize, Caller } from './caller.js';

export interface CredentialOptions {
  token?: string;
  apiKey?: string;
  clientId?: string;
  clientSecret?: string;
  user?: string;
  password?: string;
  otp?: string;
}

export interface Credentials {
  /** For people: what proves who calls. */
  kind: string;
  authorize: Authorize;
  /** Ends the sign-in that was made, if one was. */
  signOut: () => Promise<void>;
}

const answerSchema = z.object({ access_token: z.string(), expires_in: z.number(), refresh_token: z.string().optional() });
type TokenAnswer = z.infer<typeof answerSchema>;

/** A token that has less than this to live is exchanged. */
const MARGIN_MS = 30_000;
const NOTHING = (): Promise<void> => Promise.resolve();

/** The first that is given of key, token, client and person. @throws CommandError `usage` when none is */
export async function credentialsOf(caller: Caller, { token, apiKey, clientId, clientSecret, user, password, otp }: CredentialOptions): Promise<Credentials> {
  if (apiKey !== undefined) return { kind: 'API key', authorize: () => Promise.resolve({ 'x-api-key': apiKey }), signOut: NOTHING };
  if (token !== undefined) return { kind: 'access token', authorize: () => Promise.resolve({ authorization: `Bearer ${token}` }), signOut: NOTHING };
  if (clientId !== undefined && clientSecret !== undefined) {
    const basic = `Basic ${Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64')}`;
    const ask = (): Promise<TokenAnswer> => tokenFor(caller, { grant_type: 'client_credentials' }, { authorization: basic });
    return { kind: 'client credentials', authorize: renewing(await ask(), ask), signOut: NOTHING };
  }
  if (user !== undefined && password !== undefined) {
    let last = await tokenFor(caller, { grant_type: 'password', username: user, password, ...(otp !== undefined && { otp }) });
    const renew = async (): Promise<TokenAnswer> => (last = await tokenFor(caller, { grant_type: 'refresh_token', refresh_token: last.refresh_token ?? '' }));
    return {
      kind: 'user and password', authorize: renewing(last, renew),
      signOut: async () => { if (last.refresh_token !== undefined) await caller.call('/oauth2/revoke', { method: 'POST', ...form({ token: last.refresh_token }) }); },
    };
  }
  throw new CommandError('usage', 'Credentials are needed: --api-key, --token, --client-id with --client-secret, or --user with --password, or their variables (see --help)');
}

function renewing(first: TokenAnswer, renew: () => Promise<TokenAnswer>): Authorize {
  let current = first;
  let until = Date.now() + first.expires_in * 1000;
  return async () => {
    if (Date.now() > until - MARGIN_MS) {
      current = await renew();
      until = Date.now() + current.expires_in * 1000;
    }
    return { authorization: `Bearer ${current.access_token}` };
  };
}

function tokenFor(caller: Caller, fields: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}): Promise<TokenAnswer> {
  const { body, headers: type } = form(fields);
  return caller.json('/oauth2/token', answerSchema, { method: 'POST', body, headers: { ...type, ...headers } });
}

function form(fields: Readonly<Record<string, string>>): { body: string; headers: Readonly<Record<string, string>> } {
  return { body: new URLSearchParams(fields).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } };
}
