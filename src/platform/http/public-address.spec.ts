import { describe, expect, it } from 'vitest';
import { AllowedHosts, isAllowedHost, isPublicAddress } from './public-address.js';

describe('an address of the Internet', () => {
  it.each(['1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '223.255.255.255', '2606:4700:4700::1111', '2a00:1450:4001:831::200e', '2001:4860:4860::8888', '2001:200::', '3ffe::1'])('is %s', (ip) => {
    expect(isPublicAddress(ip)).toBe(true);
  });

  it.each([
    ['this host', '0.0.0.0'], ['this network', '0.1.2.3'], ['private', '10.0.0.1'], ['private', '10.255.255.255'], ['shared by carriers', '100.64.0.1'], ['of a cloud’s metadata', '100.100.100.200'], ['loopback', '127.0.0.1'], ['loopback', '127.255.255.254'],
    ['link-local', '169.254.0.1'], ['of a cloud’s metadata', '169.254.169.254'], ['private', '172.16.0.1'], ['private', '172.31.255.255'], ['of IETF protocols', '192.0.0.192'], ['for documents', '192.0.2.1'], ['a 6to4 relay', '192.88.99.1'],
    ['private', '192.168.1.1'], ['for benchmarks', '198.18.0.1'], ['for benchmarks', '198.19.255.255'], ['for documents', '198.51.100.1'], ['for documents', '203.0.113.1'], ['multicast', '224.0.0.1'], ['multicast', '239.255.255.255'], ['reserved', '240.0.0.1'], ['broadcast', '255.255.255.255'], ['Azure’s own', '168.63.129.16'],
    ['unspecified', '::'], ['loopback', '::1'], ['IPv4-mapped', '::ffff:127.0.0.1'], ['IPv4-mapped', '::ffff:7f00:1'], ['IPv4-mapped of a public one', '::ffff:8.8.8.8'], ['IPv4-compatible', '::127.0.0.1'], ['IPv4-translated', '::ffff:0:127.0.0.1'],
    ['NAT64', '64:ff9b::7f00:1'], ['NAT64', '64:ff9b::8.8.8.8'], ['local NAT64', '64:ff9b:1::1'], ['discarded', '100::1'], ['Teredo', '2001::1'], ['benchmarks', '2001:2::1'], ['ORCHID', '2001:20::1'], ['for documents', '2001:db8::1'], ['6to4 of a private one', '2002:a00:1::1'], ['6to4 of a loopback', '2002:7f00:1::'],
    ['for documents', '3fff::1'], ['segment routing', '5f00::1'], ['unique-local', 'fc00::1'], ['unique-local', 'fd12:3456:789a::1'], ['of a cloud’s metadata', 'fd00:ec2::254'], ['link-local', 'fe80::1'], ['link-local with a zone', 'fe80::1%eth0'], ['public with a zone', '2606:4700::1%eth0'], ['site-local', 'fec0::1'], ['multicast', 'ff02::1'], ['multicast', 'ff0e::1'],
    ['nothing', ''], ['a name', 'localhost'], ['short', '127.1'], ['octal', '0177.0.0.1'], ['hexadecimal', '0x7f.0.0.1'], ['a number', '2130706433'], ['with brackets', '[::1]'],
  ])('is not, being %s: %s', (_, ip) => { expect(isPublicAddress(ip)).toBe(false); });
});

describe('hosts that an installation allows', () => {
  const allowed = new AllowedHosts(['hooks.hospital.local', '10.1.0.0/16', '192.168.7.9', 'fd00:1::/64']);

  it('are its names, whatever their case, and nothing under them', () => {
    expect(allowed.hasName('Hooks.Hospital.LOCAL.')).toBe(true);
    expect(allowed.hasName('x.hooks.hospital.local')).toBe(false);
    expect(allowed.hasName('10.1.0.1')).toBe(false);
  });

  it.each([['10.1.255.1', true], ['10.2.0.1', false], ['192.168.7.9', true], ['192.168.7.8', false], ['fd00:1::5', true], ['fd00:2::5', false], ['fd00:1::5%eth0', false], ['hooks.hospital.local', false]])('are addresses of its networks: %s %s', (ip, expected) => {
    expect(allowed.hasAddress(ip)).toBe(expected);
  });

  it.each([['a.b', true], ['localhost', true], ['10.0.0.0/8', true], ['10.0.0.1', true], ['::1', true], ['fd00::/8', true], ['10.0.0.0/33', false], ['fd00::/129', false], ['10.0.0', false], ['a b', false], ['https://a.b', false], ['a/8', false], ['a..b', false], ['10.0.0.0/8/8', false]])('are written as %s: %s', (entry, expected) => {
    expect(isAllowedHost(entry)).toBe(expected);
  });
});
