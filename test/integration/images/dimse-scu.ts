import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { encodeDataSet, type Element } from '../../support/dicom-builder.js';

/** Whether dcmtk is installed; says so when it is not. */
export async function hasDcmtk(): Promise<boolean> {
  const missing: string[] = [];
  for (const tool of ['echoscu', 'storescu', 'dcmsend', 'dcmconv', 'dcmcrle', 'dcmcjpeg', 'dcmcjpls', 'dcmdump']) {
    await promisify(execFile)(tool, ['--version']).catch(() => missing.push(tool));
  }
  if (missing.length > 0) process.stderr.write(`\n*** dcmtk is not complete (${missing.join(', ')}): the DIMSE tests with its tools are SKIPPED ***\n\n`);
  return missing.length === 0;
}

/** Runs a tool of dcmtk. */
export async function dcmtk(tool: string, ...args: string[]): Promise<{ status: number; output: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(tool, args, { timeout: 60_000, maxBuffer: 64 << 20 });
    return { status: 0, output: stdout + stderr };
  } catch (error) {
    // execFile's error carries what the process wrote.
    const { code, stdout = '', stderr = '' } = error as { code?: number | string; stdout?: string; stderr?: string };
    return { status: typeof code === 'number' ? code : -1, output: stdout + stderr };
  }
}

export interface ProposedContext {
  id: number;
  abstractSyntax: string;
  transferSyntaxes: readonly string[];
}

export interface RequestOptions {
  calling?: string;
  called?: string;
  version?: number;
  applicationContext?: string;
  contexts?: readonly ProposedContext[];
  /** User information items; the maximum length alone when left out. */
  userItems?: readonly Uint8Array[];
}

export const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';
export const VERIFICATION = '1.2.840.10008.1.1';
export const IMPLICIT = '1.2.840.10008.1.2';
export const EXPLICIT = '1.2.840.10008.1.2.1';

const storage: ProposedContext = { id: 1, abstractSyntax: SECONDARY_CAPTURE, transferSyntaxes: [EXPLICIT] };
const verification: ProposedContext = { id: 3, abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT] };

export function item(type: number, value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value);
  const header = Buffer.from([type, 0, 0, 0]);
  header.writeUInt16BE(bytes.length, 2);
  return Buffer.concat([header, bytes]);
}

export function pdu(type: number, body: Uint8Array, length = body.length): Buffer {
  const header = Buffer.from([type, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(length, 2);
  return Buffer.concat([header, body]);
}

/** A-ASSOCIATE-RQ. */
export function associateRequest({ calling = 'MODALITY', called = 'HEALTHVISION', version = 1, applicationContext = '1.2.840.10008.3.1.1.1', contexts = [storage, verification], userItems = [item(0x51, Buffer.from([0, 0, 0x40, 0]))] }: RequestOptions = {}): Buffer {
  const proposed = contexts.map(({ id, abstractSyntax, transferSyntaxes }) => item(0x20, Buffer.concat([Buffer.from([id, 0, 0, 0]), item(0x30, abstractSyntax), ...transferSyntaxes.map((uid) => item(0x40, uid))])));
  return pdu(1, Buffer.concat([
    Buffer.from([version >> 8, version & 0xff, 0, 0]), Buffer.from(called.padEnd(16)), Buffer.from(calling.padEnd(16)), Buffer.alloc(32),
    item(0x10, applicationContext), ...proposed, item(0x50, Buffer.concat(userItems)),
  ]));
}

/** A fragment; several make a P-DATA-TF. */
export function pdv(contextId: number, control: number, value: Uint8Array, length = value.length + 2): Buffer {
  const header = Buffer.alloc(6);
  header.writeUInt32BE(length, 0);
  header.writeUInt8(contextId, 4);
  header.writeUInt8(control, 5);
  return Buffer.concat([header, value]);
}

export const COMMAND = 1;
export const LAST = 2;

export function data(...pdvs: readonly Uint8Array[]): Buffer {
  return pdu(4, Buffer.concat(pdvs));
}

export function command(elements: readonly Element[]): Buffer {
  const body = encodeDataSet(elements, { explicit: false, littleEndian: true });
  return Buffer.concat([encodeDataSet([[0x00000000, 'UL', [body.length]]], { explicit: false, littleEndian: true }), body]);
}

export function echoCommand(messageId = 1): Buffer {
  return command([[0x00000002, 'UI', VERIFICATION], [0x00000100, 'US', [0x0030]], [0x00000110, 'US', [messageId]], [0x00000800, 'US', [0x0101]]]);
}

export function storeCommand(sopInstanceUid: string, { sopClassUid = SECONDARY_CAPTURE, messageId = 1, dataSet = true } = {}): Buffer {
  return command([
    [0x00000002, 'UI', sopClassUid], [0x00000100, 'US', [0x0001]], [0x00000110, 'US', [messageId]], [0x00000700, 'US', [0]],
    [0x00000800, 'US', [dataSet ? 0 : 0x0101]], [0x00001000, 'UI', sopInstanceUid],
  ]);
}

export const RELEASE = pdu(5, Buffer.alloc(4));
export const ABORT = pdu(7, Buffer.alloc(4));

/** What a peer of DIMSE is at its barest: it sends whatever it is told to. */
export class RawScu {
  private held = Buffer.alloc(0);
  private readonly closing: Promise<unknown>;

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => { this.held = Buffer.concat([this.held, chunk]); });
    socket.on('error', () => undefined);
    this.closing = once(socket, 'close');
  }

  static async connect(port: number): Promise<RawScu> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawScu(socket);
  }

  /** Connected and with an association. */
  static async associated(port: number, options: RequestOptions = {}): Promise<RawScu> {
    const scu = await RawScu.connect(port);
    scu.send(associateRequest(options));
    const answer = await scu.receive();
    if (answer?.[0] !== 2) throw new Error(`no association: ${answer?.toString('hex') ?? 'closed'}`);
    return scu;
  }

  send(...pdus: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(pdus));
  }

  /** The next PDU, or undefined when the connection is closed. */
  async receive(timeoutMs = 10_000): Promise<Buffer | undefined> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      if (this.held.length >= 6 && this.held.length >= 6 + this.held.readUInt32BE(2)) {
        const bytes = this.held.subarray(0, 6 + this.held.readUInt32BE(2));
        this.held = this.held.subarray(bytes.length);
        return bytes;
      }
      if (this.socket.destroyed || this.socket.readableEnded) return undefined;
      if (Date.now() > deadline) throw new Error('no PDU came');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Status and Error Comment of the next response. */
  async response(): Promise<{ status: number; comment?: string } | undefined> {
    const bytes = await this.receive();
    if (bytes?.[0] !== 4) return undefined;
    const elements = new Map<number, Buffer>();
    for (let at = 12; at + 8 <= bytes.length;) {
      const length = bytes.readUInt32LE(at + 4);
      elements.set((bytes.readUInt16LE(at) << 16) | bytes.readUInt16LE(at + 2), bytes.subarray(at + 8, at + 8 + length));
      at += 8 + length;
    }
    const comment = elements.get(0x00000902)?.toString('latin1').trimEnd();
    return { status: elements.get(0x00000900)?.readUInt16LE(0) ?? -1, ...(comment !== undefined && { comment }) };
  }

  /** Sends a data set in fragments of `fragmentBytes` and gives the answer. */
  async store(sopInstanceUid: string, dataSet: Uint8Array, { contextId = 1, fragmentBytes = 16_372, sopClassUid = SECONDARY_CAPTURE } = {}): Promise<{ status: number; comment?: string } | undefined> {
    this.send(data(pdv(contextId, COMMAND | LAST, storeCommand(sopInstanceUid, { sopClassUid }))));
    for (let at = 0; at < dataSet.length; at += fragmentBytes) {
      const isLast = at + fragmentBytes >= dataSet.length;
      if (!this.socket.write(data(pdv(contextId, isLast ? LAST : 0, dataSet.subarray(at, at + fragmentBytes)))) && !isLast) await Promise.race([once(this.socket, 'drain'), this.closing]);
    }
    return this.response();
  }

  async closed(timeoutMs = 10_000): Promise<void> {
    const late = new Promise<never>((_, reject) => setTimeout(() => { reject(new Error('the connection stays open')); }, timeoutMs).unref());
    await Promise.race([this.closing, late]);
  }

  destroy(): void {
    this.socket.destroy();
  }
}
