// HEALTHCHECK of the image: asks /health inside the container, whatever its role, by the settings that the product itself listens by. Exit status 0 or 1.
import { request as plain } from 'node:http';
import { request as encrypted } from 'node:https';

const given = (name, otherwise) => (process.env[name] || otherwise);
const address = given('HOST', '0.0.0.0');
const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[address] ?? address;
const tls = given('TLS_CERT_FILE') !== undefined;

const fail = (reason) => {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
};

// The certificate names the hospital's host, not this loopback address; that it is ours is not in question here.
const options = { host, port: Number(given('PORT', '8080')), path: '/health', timeout: 5_000, ...(tls && { rejectUnauthorized: false }) };
(tls ? encrypted : plain)(options, (response) => {
  response.resume();
  if (response.statusCode === 200) process.exit(0);
  fail(`/health answered ${String(response.statusCode)}`);
})
  .on('timeout', () => { fail('/health did not answer within 5 s'); })
  .on('error', ({ message }) => { fail(message); })
  .end();
