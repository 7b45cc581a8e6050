import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './product.js';

/** True, or false with a loud line, when there is no openssl. */
export function opensslIsInstalled(): boolean {
  const there = spawnSync('openssl', ['version']).status === 0;
  if (!there) console.warn('SKIPPED: openssl is not installed; TLS is not tested');
  return there;
}

export interface Certificate {
  cert: string;
  key: string;
}

/** A certificate authority of the test's own, with what it signs; all are paths of PEM files. */
export class Authority {
  readonly folder = temporaryDirectory();
  readonly ca = this.path('ca.pem');
  private readonly caKey = this.path('ca.key');
  private serial = 0;

  constructor(name = 'HealthVision test authority') {
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-keyout', this.caKey, '-out', this.ca);
  }

  /** @param alternativeNames  as openssl takes them: `DNS:x,IP:127.0.0.1` */
  sign(commonName: string, alternativeNames = 'IP:127.0.0.1,DNS:localhost', days = 2): Certificate {
    this.serial += 1;
    const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((kind) => this.path(`${String(this.serial)}.${kind}`)) as [string, string, string, string]; // four in, four out
    writeFileSync(extensions, `subjectAltName=${alternativeNames}\n`);
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${commonName}`, '-keyout', key, '-out', request);
    openssl('x509', '-req', '-in', request, '-CA', this.ca, '-CAkey', this.caKey, '-set_serial', String(1000 + this.serial), '-days', String(days), '-extfile', extensions, '-out', cert);
    return { cert, key };
  }

  /** The same key behind a passphrase. */
  encrypted(key: string): string {
    const path = `${key}.encrypted`;
    openssl('pkey', '-in', key, '-aes256', '-passout', 'pass:secret', '-out', path);
    return path;
  }

  private path(name: string): string {
    return join(this.folder, name);
  }
}

function openssl(...parameters: string[]): void {
  execFileSync('openssl', parameters, { stdio: 'pipe' });
}
