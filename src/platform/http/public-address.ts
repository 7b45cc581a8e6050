import { BlockList, isIP, isIPv4 } from 'node:net';

/** Not for the Internet: IANA's special-purpose registries, and where clouds answer their own machines. */
const NOT_PUBLIC_IPV4 = blockList('ipv4', [
  '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16',
  '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4',
  // Azure's WireServer lies among public addresses.
  '168.63.129.16/32',
]);

/** All of IPv6 that is given out lies in here; loopback, unique-local, link-local, multicast, IPv4-mapped and NAT64 do not. */
const GLOBAL_IPV6 = blockList('ipv6', ['2000::/3']);

/** Of that: IETF protocols with Teredo, documentation, and 6to4, which may lead to any IPv4 address. */
const NOT_PUBLIC_IPV6 = blockList('ipv6', ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);

/** Whether an address is one of the Internet. What carries an IPv4 address inside itself is not, whatever that one is. */
export function isPublicAddress(ip: string): boolean {
  if (isIPv4(ip)) return !NOT_PUBLIC_IPV4.check(ip, 'ipv4');
  // With a zone it is of one link.
  return isIP(ip) === 6 && !ip.includes('%') && GLOBAL_IPV6.check(ip, 'ipv6') && !NOT_PUBLIC_IPV6.check(ip, 'ipv6');
}

/** The host names and networks that an installation allows although they are its own. */
export class AllowedHosts {
  private readonly names = new Set<string>();
  private readonly networks = new BlockList();

  /** @param entries  host names, addresses or networks such as `10.1.0.0/16`; see `isAllowedHost` for the form */
  constructor(entries: readonly string[] = []) {
    for (const entry of entries) {
      const network = networkOf(entry);
      if (network) this.networks.addSubnet(network.address, network.bits, network.family);
      else this.names.add(entry.toLowerCase().replace(/\.$/, ''));
    }
  }

  hasName(hostname: string): boolean {
    return this.names.has(hostname.toLowerCase().replace(/\.$/, ''));
  }

  hasAddress(ip: string): boolean {
    const family = isIP(ip);
    return family !== 0 && !ip.includes('%') && this.networks.check(ip, family === 4 ? 'ipv4' : 'ipv6');
  }
}

/** Whether an entry of ALLOWED_PRIVATE_HOSTS is a host name, an address or a network. */
export function isAllowedHost(entry: string): boolean {
  return networkOf(entry) !== undefined || (!entry.includes('/') && /^(?!.*\.\.)[a-z0-9_]([a-z0-9._-]{0,252})$/i.test(entry) && !/^[\d.]+$/.test(entry));
}

function networkOf(entry: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', bits, ...rest] = entry.split('/');
  const version = isIP(address);
  const most = version === 4 ? 32 : 128;
  if (version === 0 || address.includes('%') || rest.length > 0 || (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > most))) return undefined;
  return { address, bits: bits === undefined ? most : Number(bits), family: version === 4 ? 'ipv4' : 'ipv6' };
}

function blockList(family: 'ipv4' | 'ipv6', networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    list.addSubnet(address, Number(bits), family);
  }
  return list;
}
