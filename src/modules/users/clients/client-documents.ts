import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Inject, Injectable } from '@nestjs/common';
import { Agent, fetch as undiciFetch } from 'undici';
import { CONFIG, type Config } from '../../../platform/config.js';
import { readJsonDocument, type FetchDocument } from '../json-document.js';

const PRIVATE: readonly [string, number, 'ipv4' | 'ipv6'][] = [
  ['0.0.0.0', 8, 'ipv4'], ['10.0.0.0', 8, 'ipv4'], ['100.64.0.0', 10, 'ipv4'], ['127.0.0.0', 8, 'ipv4'], ['169.254.0.0', 16, 'ipv4'], ['172.16.0.0', 12, 'ipv4'], ['192.0.0.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'], ['198.18.0.0', 15, 'ipv4'], ['224.0.0.0', 3, 'ipv4'],
  ['::', 96, 'ipv6'], ['64:ff9b::', 96, 'ipv6'], ['fc00::', 7, 'ipv6'], ['fe80::', 10, 'ipv6'], ['ff00::', 8, 'ipv6'],
];

/** Reads what institutions name by URL: https only, and nothing inside of our own network. */
@Injectable()
export class ClientDocuments {
  private readonly fetchDocument: FetchDocument;

  constructor(@Inject(CONFIG) config: Config) {
    const dispatcher = new Agent({ connect: { lookup: publicOnly(new Set(config.ALLOWED_PRIVATE_HOSTS ?? [])) } });
    // undici's own Response, which is the one that fetch gives, but for its place.
    this.fetchDocument = async (url, options) => (await undiciFetch(url, { ...options, dispatcher })) as unknown as Response;
  }

  /** @throws Error when the document cannot or may not be read */
  async json(url: string): Promise<unknown> {
    const { protocol, hostname } = new URL(url);
    if (protocol !== 'https:' || isIP(hostname.replaceAll(/[[\]]/g, '')) !== 0) throw new Error('is not allowed');
    return readJsonDocument(url, this.fetchDocument);
  }
}

/** Checks the address that the connection goes to, so that a name cannot change its address in between. */
function publicOnly(allowed: ReadonlySet<string>): LookupFunction {
  const blocked = new BlockList();
  for (const [network, prefix, family] of PRIVATE) blocked.addSubnet(network, prefix, family);
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) { done(error, '', 0); return; }
      const fit = addresses.filter(({ address, family }) => allowed.has(hostname) || !blocked.check(address, family === 6 ? 'ipv6' : 'ipv4'));
      const [first] = fit;
      if (!first) done(new Error('is not allowed'), '', 0);
      else if (options.all) done(null, fit);
      else done(null, first.address, first.family);
    });
  };
}
