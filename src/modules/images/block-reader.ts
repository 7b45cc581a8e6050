import { Readable } from 'node:stream';

/** Bytes that can be had from anywhere, such as a spooled file. */
export interface RandomAccess {
  sizeBytes: number;
  /** Fewer bytes at the end. */
  read(range: { offset: number; length: number }): Promise<Uint8Array>;
}

const BLOCK_BYTES = 256 * 1024;
/** The walk through an archive has two places in it, its directory and the entry; each may touch two blocks. */
const BLOCKS_HELD = 4;

/** Reads in blocks and holds the last few, so that many small reads near to each other cost one. */
export class BlockReader {
  readonly sizeBytes: number;
  /** The one that was used last stands last. */
  private readonly blocks = new Map<number, Promise<Uint8Array>>();

  constructor(private readonly source: RandomAccess) {
    this.sizeBytes = source.sizeBytes;
  }

  /** Fewer bytes at the end. Throws as the source does. */
  async read(offset: number, length: number): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.pieces(offset, offset + length)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** From `start` up to, not including, `end`. Fails as the source does. */
  stream(start: number, end: number): Readable {
    return Readable.from(this.pieces(start, end), { objectMode: false, highWaterMark: BLOCK_BYTES });
  }

  private async *pieces(start: number, end: number): AsyncGenerator<Uint8Array> {
    const last = Math.min(end, this.sizeBytes);
    for (let at = start; at < last;) {
      const index = Math.floor(at / BLOCK_BYTES);
      const block = await this.block(index);
      const piece = block.subarray(at - index * BLOCK_BYTES, last - index * BLOCK_BYTES);
      // The source has become shorter than it said.
      if (piece.length === 0) return;
      yield piece;
      at += piece.length;
    }
  }

  private block(index: number): Promise<Uint8Array> {
    const block = this.blocks.get(index) ?? this.source.read({ offset: index * BLOCK_BYTES, length: BLOCK_BYTES });
    this.blocks.delete(index);
    this.blocks.set(index, block);
    block.catch(() => { this.blocks.delete(index); });
    const oldest = this.blocks.keys().next();
    if (this.blocks.size > BLOCKS_HELD && oldest.done !== true) this.blocks.delete(oldest.value);
    return block;
  }
}
