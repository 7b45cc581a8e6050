/**
 * Buffers of one size that are used again and again: memory that is asked for and dropped with every image is given back late,
 * and stays with the process meanwhile.
 */
export class BufferPool {
  private readonly free: Buffer[] = [];

  /** @param most  kept while nobody needs them */
  constructor(
    readonly bufferBytes: number,
    private readonly most: number,
  ) {}

  /** @returns a buffer with any content; it need not be given back */
  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(this.bufferBytes);
  }

  /** Nobody may look at it, or write into it, any more. */
  giveBack(buffer: Buffer): void {
    if (this.free.length < this.most) this.free.push(buffer);
  }
}
