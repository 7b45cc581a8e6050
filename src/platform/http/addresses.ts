import { BlockList, isIP } from 'node:net';
import { z } from 'zod';

const MAPPED = /^::ffff:(?=\d+\.)/i;
const MOST_RANGES = 64;

/** A list of addresses and networks as people write it; `asRanges` makes it what `isAllowed` takes. */
export const addressRanges = z.array(z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()], 'must be an IP address or a range in CIDR notation')).max(MOST_RANGES);

/**
 * Whether an address lies in one of the ranges; in no ranges at all every address does.
 *
 * @param ranges  CIDR, IPv4 or IPv6
 * @param address  as the socket gives it; IPv4 in IPv6 counts as IPv4
 */
export function isAllowed(ranges: readonly string[], address: string | undefined): boolean {
  if (ranges.length === 0) return true;
  const plain = (address ?? '').replace(MAPPED, '').replace(/%.*$/, '');
  const version = isIP(plain);
  if (version === 0) return false;
  const allowed = new BlockList();
  for (const range of ranges) {
    const [network = '', prefix = ''] = range.split('/');
    allowed.addSubnet(network, Number(prefix), isIP(network) === 6 ? 'ipv6' : 'ipv4');
  }
  return allowed.check(plain, version === 6 ? 'ipv6' : 'ipv4');
}

/** Whether every address of `inner` is one of `outer`. An empty list is all addresses, on either side. @param inner  CIDR, as `outer` */
export function areWithin(inner: readonly string[], outer: readonly string[]): boolean {
  if (outer.length === 0) return true;
  return inner.length > 0 && inner.every((range) => outer.some((one) => isWithin(range, one)));
}

function isWithin(inner: string, outer: string): boolean {
  const [network = '', prefix = ''] = inner.split('/');
  const [outerNetwork = '', outerPrefix = ''] = outer.split('/');
  return isIP(network) === isIP(outerNetwork) && Number(prefix) >= Number(outerPrefix) && isAllowed([outer], network);
}

/** An address alone is the range of that one. */
export function asRange(text: string): string {
  if (text.includes('/')) return text;
  const address = text.replace(MAPPED, '');
  return `${address}/${isIP(address) === 6 ? '128' : '32'}`;
}

/** Each range once. */
export function asRanges(texts: readonly string[]): string[] {
  return [...new Set(texts.map(asRange))];
}
