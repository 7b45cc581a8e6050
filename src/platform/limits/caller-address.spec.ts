import { describe, expect, it } from 'vitest';
import { callerAddress } from './caller-address.js';

describe('whom an address stands for', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::ffff', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
  ])('%s is %s', (ip, expected) => { expect(callerAddress(ip)).toBe(expected); });

  it('counts a made-up address as the peer that handed it on', () => {
    expect(callerAddress('not an address', '10.0.0.1')).toBe('10.0.0.1');
    expect(callerAddress('not an address', 'neither')).toBe('unknown');
  });
});
