import { describe, expect, it } from 'vitest';
import { areWithin, asRange, isAllowed } from './addresses.js';

describe('ranges', () => {
  it('lie within others when all of their addresses do', () => {
    for (const [inner, outer] of [[['10.1.2.0/24'], ['10.0.0.0/8']], [['10.1.2.3/32', '2001:db8:1::/48'], ['192.0.2.0/24', '10.1.2.3/32', '2001:db8::/32']], [['10.0.0.0/8'], []], [[], []]] as const) expect(areWithin(inner, outer)).toBe(true);
    for (const [inner, outer] of [[['10.0.0.0/7'], ['10.0.0.0/8']], [['10.0.0.0/8', '192.0.2.1/32'], ['10.0.0.0/8']], [[], ['10.0.0.0/8']], [['::/0'], ['0.0.0.0/0']], [['11.0.0.0/24'], ['10.0.0.0/8']]] as const) expect(areWithin(inner, outer)).toBe(false);
  });
});

describe('Addresses', () => {
  it('are all allowed when no range is given, an unknown one too', () => {
    expect(isAllowed([], '203.0.113.9')).toBe(true);
    expect(isAllowed([], undefined)).toBe(true);
  });

  it('are allowed inside of a range and nowhere else', () => {
    const ranges = ['10.20.30.0/24', '192.168.1.7/32', '2001:db8::/32', 'fe80::/10'];
    for (const address of ['10.20.30.0', '10.20.30.255', '192.168.1.7', '2001:db8:ffff::1', 'fe80::1%eth0']) expect(isAllowed(ranges, address), address).toBe(true);
    for (const address of ['10.20.31.0', '192.168.1.8', '2001:db9::1', '::1', '', 'localhost', undefined]) expect(isAllowed(ranges, address), address).toBe(false);
  });

  it('of IPv4 count as such when the socket is one of IPv6', () => {
    expect(isAllowed(['10.20.30.0/24'], '::ffff:10.20.30.40')).toBe(true);
    expect(isAllowed(['10.20.30.0/24'], '::FFFF:10.20.31.40')).toBe(false);
    expect(isAllowed(['2001:db8::/32'], '10.20.30.40')).toBe(false);
  });

  it('become a range of one', () => {
    expect(['10.1.2.3', '::1', '10.0.0.0/8', '::ffff:10.1.2.3'].map(asRange)).toEqual(['10.1.2.3/32', '::1/128', '10.0.0.0/8', '10.1.2.3/32']);
  });
});
