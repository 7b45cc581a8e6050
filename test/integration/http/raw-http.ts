import { connect } from 'node:net';

export interface RawAnswer {
  status: number;
  /** Lower-case names; several of one name joined by a line break. */
  headers: Record<string, string>;
  body: string;
  /** Everything until the connection ended. */
  text: string;
}

/** Bytes as they are, and what comes back until the server ends the connection, or for `patienceMs`. */
export async function raw(url: string, ...pieces: (string | number)[]): Promise<RawAnswer> {
  const { port } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  let text = '';
  const ended = new Promise<void>((resolve) => {
    socket.setEncoding('latin1').on('data', (chunk: string) => { text += chunk; }).on('error', () => undefined).on('close', () => { resolve(); });
  });
  for (const piece of pieces) {
    // A number is a pause in milliseconds.
    if (typeof piece === 'number') await new Promise((resolve) => setTimeout(resolve, piece));
    else if (!socket.destroyed) socket.write(piece, 'latin1');
  }
  const timer = setTimeout(() => { socket.destroy(); }, 20_000);
  await ended;
  clearTimeout(timer);
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const [name = '', ...value] = field.split(': ');
    const key = name.toLowerCase();
    headers[key] = headers[key] === undefined ? value.join(': ') : `${headers[key]}\n${value.join(': ')}`;
  }
  return { status: Number(line.split(' ')[1] ?? 0), headers, body: rest.join('\r\n\r\n'), text };
}
