import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { isPublicAddress, type AllowedHosts } from '../../../platform/http/public-address.js';
import { NotSent } from './destination.js';

/** `encrypted`: nobody but the host itself learns what is said. */
interface Speech {
  encrypted: boolean;
}

/**
 * The address of a host that is to be spoken to by DIMSE or MLLP. Both tell everything to whoever listens, so without TLS they go to hosts that the installation has
 * named as its own alone (ALLOWED_PRIVATE_HOSTS). Whoever connects takes this address, and asks for the name no second time.
 *
 * @throws NotSent `not-allowed`, `unreachable`
 */
export async function checkedAddress(host: string, allowed: AllowedHosts, speech: Speech): Promise<string> {
  const addresses = isIP(host) === 0 ? await lookup(host, { all: true }).catch(() => []) : [{ address: host }];
  const [first] = addresses;
  if (!first) throw new NotSent({ code: 'unreachable', detail: 'The name of the host has no address', again: true });
  if (!allowed.hasName(host) && !addresses.every(({ address }) => isReachable(address, allowed, speech))) throw new NotSent({ code: 'not-allowed', detail: 'The host is not in ALLOWED_PRIVATE_HOSTS', again: false });
  return first.address;
}

/** What can be said of a name or an address without asking the network. */
export function isReachable(host: string, allowed: AllowedHosts, { encrypted }: Speech): boolean {
  return allowed.hasName(host) || allowed.hasAddress(host) || (encrypted && isPublicAddress(host));
}
