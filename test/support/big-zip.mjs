import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import yazl from 'yazl';

/**
 * A ZIP, made while it is read, of `count` computed-radiography objects of about 8 MB each (noise: it does not compress).
 * @param {(options: {seed: number, pixels: Uint16Array}) => Uint8Array} makeInstance
 * @returns {import('node:stream').Readable}
 */
export function bigZip(count, makeInstance) {
  const zip = new yazl.ZipFile();
  const side = 2000;
  for (let seed = 0; seed < count; seed++) {
    zip.addReadStreamLazy(`study/image-${String(seed).padStart(4, '0')}.dcm`, { compress: false }, (done) => {
      const noise = randomBytes(side * side * 2);
      const pixels = new Uint16Array(noise.buffer, noise.byteOffset, side * side).map((value) => value & 0x0fff);
      done(null, Readable.from([Buffer.from(makeInstance({ seed, pixels }))]));
    });
  }
  zip.end();
  return zip.outputStream;
}

export const BIG_ZIP_SIDE = 2000;

/** Sends the ZIP as `multipart/form-data` without holding it; answers with the parsed response. */
export async function sendZip(url, authorization, zip, fetchOptions = {}) {
  const boundary = `----healthvision${randomBytes(12).toString('hex')}`;
  async function* body() {
    yield Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="files"; filename="big.zip"\r\nContent-Type: application/zip\r\n\r\n`);
    yield* zip;
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  }
  return fetch(`${url}/api/v1/images`, {
    method: 'POST', duplex: 'half', body: Readable.toWeb(Readable.from(body())),
    headers: { authorization, 'content-type': `multipart/form-data; boundary=${boundary}` }, ...fetchOptions,
  });
}
