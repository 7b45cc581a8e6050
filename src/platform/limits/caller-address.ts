import { isIPv4, isIPv6 } from 'node:net';

/**
 * Whom an address stands for when requests are counted: one host of IPv4, a network of 64 bits of IPv6, because there a
 * single machine has as many addresses as it likes.
 *
 * @param ip  as the request gives it; what a proxy made up instead of an address counts as `socketAddress`
 */
export function callerAddress(ip: string, socketAddress = 'unknown'): string {
  if (isIPv4(ip)) return ip;
  const address = ip.split('%')[0] ?? '';
  if (!isIPv6(address)) return ip === socketAddress ? 'unknown' : callerAddress(socketAddress, socketAddress);
  const groups = groupsOf(address);
  // ::ffff:a.b.c.d, as a socket for both kinds names its IPv4 peers. RFC 4291 §2.5.5.2
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return groups.slice(6).flatMap((group) => [group >> 8, group & 0xff]).join('.');
  return `${groups.slice(0, 4).map((group) => group.toString(16)).join(':')}::/64`;
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const plain = dotted ? address.slice(0, dotted.index) + dotted.slice(1).map(Number).reduce<number[]>((pairs, byte, index) => { pairs[index >> 1] = ((pairs[index >> 1] ?? 0) << 8) | byte; return pairs; }, []).map((group) => group.toString(16)).join(':') : address;
  const [head = '', tail] = plain.split('::');
  const parse = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const front = parse(head);
  const back = tail === undefined ? [] : parse(tail);
  return [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
}
