import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Server, ServerOptions } from 'node:https';
import { createSecureContext } from 'node:tls';
import { ConfigurationError, type Config } from '../config.js';
import type { Logger } from '../ops/logger.js';

/** Files that change are noticed within this: certificate managers replace them in place. */
const LOOK_MS = 5_000;
/** For a peer that connects and does not go on with TLS. */
const HANDSHAKE_MS = 10_000;

export type TlsFiles = Pick<Config, 'TLS_CERT_FILE' | 'TLS_KEY_FILE' | 'TLS_CLIENT_CA_FILE'>;

interface Material {
  cert: string;
  key: string;
  ca?: string;
  minVersion: 'TLSv1.3';
}

/**
 * Options for an HTTPS server of TLS 1.3; undefined when no certificate is given. With `TLS_CLIENT_CA_FILE` a client may show a
 * certificate; who shows none comes in too, and has to prove itself otherwise: what counts is `socket.authorized`.
 *
 * @throws ConfigurationError with a line for the file that cannot be used
 */
export function tlsOptions(files: TlsFiles): ServerOptions | undefined {
  const material = readMaterial(files);
  return material && { ...material, handshakeTimeout: HANDSHAKE_MS, ...(material.ca !== undefined && { requestCert: true, rejectUnauthorized: false }) };
}

/**
 * Puts a certificate that was replaced on disk in force for new connections. One that cannot be used, or is half replaced, is
 * told of once and looked at again; the old one stays.
 *
 * @param tellExpiry  told when what is in force ends, at the start and with each certificate
 * @returns ends the watching
 */
export function watchCertificate(server: Pick<Server, 'setSecureContext'>, files: TlsFiles, logger: Logger, tellExpiry: (at: Date) => void): () => void {
  const first = readMaterial(files);
  let inForce = JSON.stringify(first);
  if (first) tellExpiry(expiryOf(first));
  let fault: string | undefined;
  const timer = setInterval(() => {
    try {
      const material = readMaterial(files);
      fault = undefined;
      if (!material || JSON.stringify(material) === inForce) return;
      server.setSecureContext(material);
      inForce = JSON.stringify(material);
      tellExpiry(expiryOf(material));
      logger.info('the TLS certificate was replaced');
    } catch (error) {
      const reason = error instanceof ConfigurationError ? error.message : 'unknown';
      if (reason !== fault) logger.error({ reason }, 'the new TLS certificate cannot be used; the old one stays');
      fault = reason;
    }
  }, LOOK_MS);
  timer.unref();
  return () => { clearInterval(timer); };
}

/** When the first certificate of the chain expires. */
function expiryOf({ cert }: Material): Date {
  const blocks = cert.match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs) ?? [cert];
  return new Date(Math.min(...blocks.map((block) => Date.parse(new X509Certificate(block).validTo))));
}

function readMaterial({ TLS_CERT_FILE, TLS_KEY_FILE, TLS_CLIENT_CA_FILE }: TlsFiles): Material | undefined {
  if (TLS_CERT_FILE === undefined || TLS_KEY_FILE === undefined) return undefined;
  const cert = read('TLS_CERT_FILE', TLS_CERT_FILE);
  const key = read('TLS_KEY_FILE', TLS_KEY_FILE);
  const ca = TLS_CLIENT_CA_FILE === undefined ? undefined : read('TLS_CLIENT_CA_FILE', TLS_CLIENT_CA_FILE);
  const certificate = usable('TLS_CERT_FILE', 'is no certificate in PEM', () => new X509Certificate(cert));
  if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----$|^Proc-Type: 4,ENCRYPTED/m.test(key)) throw new ConfigurationError(['TLS_KEY_FILE: the key is encrypted; give one without a passphrase (openssl pkey -in … -out …)']);
  const privateKey = usable('TLS_KEY_FILE', 'is no private key in PEM', () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) throw new ConfigurationError(['TLS_KEY_FILE: is not the key of the certificate in TLS_CERT_FILE']);
  if (ca !== undefined) usable('TLS_CLIENT_CA_FILE', 'is no certificate in PEM', () => new X509Certificate(ca));
  const material: Material = { cert, key, ...(ca !== undefined && { ca }), minVersion: 'TLSv1.3' };
  usable('TLS_CERT_FILE, TLS_KEY_FILE', 'cannot be used for TLS', () => createSecureContext(material));
  return material;
}

function read(name: string, path: string): string {
  return usable(name, `${path} cannot be read`, () => readFileSync(path, 'utf8'));
}

function usable<T>(name: string, what: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    throw Object.assign(new ConfigurationError([`${name}: ${what}`]), { cause });
  }
}
