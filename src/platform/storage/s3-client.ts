import { S3Client } from '@aws-sdk/client-s3';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { rootCertificates } from 'node:tls';
import type { Config } from '../config.js';

export type S3Settings = Pick<Config, 'S3_ENDPOINT' | 'S3_REGION' | 'S3_ACCESS_KEY_ID' | 'S3_SECRET_ACCESS_KEY' | 'S3_CA_FILE'>;

const CONNECT_MS = 5_000;
/** Without a byte in either direction. */
const SILENCE_MS = 30_000;
/** The first included; those after it wait longer each time. */
const ATTEMPTS = 4;
/** At a time, of this process. */
const CONNECTIONS = 128;

/**
 * The SDK's client for AWS or, with S3_ENDPOINT, for any other server. Every body that it sends carries its CRC-32 and, in the
 * signature, its SHA-256, so that a server refuses what did not arrive as it was sent. Destroy it at the end.
 */
export function createS3Client({ S3_ENDPOINT, S3_REGION, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_CA_FILE }: S3Settings): S3Client {
  const connections = { keepAlive: true, maxSockets: CONNECTIONS };
  return new S3Client({
    region: S3_REGION,
    // Few servers but AWS have a host name for every bucket.
    ...(S3_ENDPOINT !== undefined && { endpoint: S3_ENDPOINT, forcePathStyle: true }),
    // Otherwise the SDK's own chain: environment, files, the role of the machine or pod.
    ...(S3_ACCESS_KEY_ID !== undefined && S3_SECRET_ACCESS_KEY !== undefined && { credentials: { accessKeyId: S3_ACCESS_KEY_ID, secretAccessKey: S3_SECRET_ACCESS_KEY } }),
    maxAttempts: ATTEMPTS,
    retryMode: 'standard',
    requestChecksumCalculation: 'WHEN_SUPPORTED',
    // What is read is proved by its GCM tags.
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Parts are small; waiting for leave to send them costs a round trip each.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      httpAgent: new HttpAgent(connections),
      // The public authorities stay trusted: the credentials may come from AWS itself.
      httpsAgent: new HttpsAgent({ ...connections, ...(S3_CA_FILE !== undefined && { ca: [...rootCertificates, readFileSync(S3_CA_FILE, 'utf8')] }) }),
    },
  });
}
