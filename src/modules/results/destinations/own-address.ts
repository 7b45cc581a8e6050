import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { AllowedHosts } from '../../../platform/http/public-address.js';
import { NotSent } from './destination.js';

/**
 * The address of a host that is to be spoken to by DIMSE. DIMSE tells everything to whoever listens, so it goes to hosts that the installation has
 * named as its own alone (ALLOWED_PRIVATE_HOSTS). Whoever connects takes this address, and asks for the name no second time.
 *
 * @throws NotSent `not-allowed`, `unreachable`
 */
export async function ownAddress(host: string, allowed: AllowedHosts): Promise<string> {
  const addresses = isIP(host) === 0 ? await lookup(host, { all: true }).catch(() => []) : [{ address: host }];
  const [first] = addresses;
  if (!first) throw new NotSent({ code: 'unreachable', detail: 'The name of the host has no address', again: true });
  if (!isOwnHost(host, allowed) && !addresses.every(({ address }) => allowed.hasAddress(address))) throw new NotSent({ code: 'not-allowed', detail: 'The host is not in ALLOWED_PRIVATE_HOSTS', again: false });
  return first.address;
}

/** What can be said without asking the network. */
export function isOwnHost(host: string, allowed: AllowedHosts): boolean {
  return allowed.hasName(host) || allowed.hasAddress(host);
}
