import { connect, rootCertificates } from 'node:tls';
import { isIP } from 'node:net';
import { Skipped, StepFailure } from './checklist.js';

const LEAST = 'TLSv1.3';
const DAY_MS = 86_400_000;
/** Short-lived ones are renewed before that, too. */
const LEAST_DAYS = 1;

/** What is spoken with an installation, and until when its certificate holds. @throws Skipped for http, StepFailure */
export async function checkTls(base: string, timeoutMs: number, ca: string | undefined): Promise<string> {
  const { protocol, hostname, port } = new URL(base);
  if (protocol !== 'https:') throw new Skipped(`${base} is not https: nothing between here and there is encrypted`);
  const host = hostname.replace(/^\[|\]$/g, '');
  const { version, days } = await new Promise<{ version: string; days: number }>((resolve, reject) => {
    const socket = connect({ host, port: port === '' ? 443 : Number(port), timeout: timeoutMs, ...(isIP(host) === 0 && { servername: host }), ...(ca !== undefined && { ca: [...rootCertificates, ca] }) });
    socket.once('secureConnect', () => {
      const days = Math.floor((Date.parse(socket.getPeerCertificate().valid_to) - Date.now()) / DAY_MS);
      resolve({ version: socket.getProtocol() ?? 'unknown', days });
      socket.end();
    });
    socket.once('timeout', () => { socket.destroy(new Error('no answer in time')); });
    socket.once('error', reject);
  });
  if (version !== LEAST) throw new StepFailure('tls-too-old', `The newest that ${host} speaks is ${version}.`, `Switch ${LEAST} on where TLS ends: at the ingress or proxy, or with TLS_CERT_FILE.`);
  if (days < LEAST_DAYS) throw new StepFailure('certificate-expires', 'The certificate ends within a day.', 'Renew it; with TLS_CERT_FILE a replaced file is in force within seconds.');
  return `${version}, certificate for ${String(days)} days`;
}
