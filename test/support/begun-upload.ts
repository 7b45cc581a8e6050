import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { STOW_TYPE } from './dicom-files.js';
import type { Product } from './product.js';

/** What comes before the first instance of a STOW-RS body. */
export const PART_HEAD = Buffer.from('\r\n--boundary-of-tests\r\nContent-Type: application/dicom\r\n\r\n');

/** An upload by hand: the head of the request, and the beginning of its chunked body. */
export async function beginUpload(product: Product, beginning: Uint8Array): Promise<Socket> {
  const token = await product.token();
  const socket = connect(Number(new URL(product.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(`POST /dicom-web/studies HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${token}\r\nContent-Type: ${STOW_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n${beginning.length.toString(16)}\r\n`);
  socket.write(beginning);
  socket.write('\r\n');
  return socket;
}
