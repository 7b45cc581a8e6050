import { createReadStream } from 'node:fs';
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../kernel/errors.js';
import type { CacheLimits, ComputeModel } from './compute-protocol.js';
import { openOnnxSession, type Fallback, type OnnxSession, type SessionOptions } from './onnx-session.js';

/** The warm sessions of one thread, by model digest. The least recently used is released when there are too many. */
export class SessionCache {
  // A Map keeps the order of insertion: the first is the least recently used.
  private readonly sessions = new Map<string, { session: OnnxSession; bytes: number }>();

  constructor(
    private readonly options: SessionOptions,
    private readonly limits: CacheLimits,
    private readonly onFallback: (fallback: Fallback) => void,
  ) {}

  /** @throws AppError `model-load-failed` when a file is missing or is not the one that the manifest names, `out-of-memory` */
  async get(model: ComputeModel): Promise<OnnxSession> {
    const held = this.sessions.get(model.digest);
    if (held) {
      this.sessions.delete(model.digest);
      this.sessions.set(model.digest, held);
      return held.session;
    }
    const bytes = await verifiedBytes(model);
    await this.makeRoom(bytes);
    const onnx = model.files.find(({ path }) => path.endsWith('.onnx'));
    if (onnx === undefined) throw new AppError('model-load-failed', { detail: 'The model has no .onnx file' });
    const session = await openOnnxSession(onnx.file, this.options);
    for (const fallback of session.fallbacks) this.onFallback(fallback);
    this.sessions.set(model.digest, { session, bytes });
    return session;
  }

  /** Forgets a session, after an error that may have left it in any state. */
  async drop(digest: string): Promise<void> {
    const held = this.sessions.get(digest);
    this.sessions.delete(digest);
    await held?.session.release().catch(() => undefined);
  }

  private async makeRoom(bytes: number): Promise<void> {
    for (const digest of [...this.sessions.keys()]) {
      const total = [...this.sessions.values()].reduce((sum, held) => sum + held.bytes, bytes);
      if (this.sessions.size < this.limits.maxSessions && total <= this.limits.maxBytes) return;
      await this.drop(digest);
    }
  }
}

/** Size of the model's files, once each is what the manifest says: they may have been replaced since the start. */
async function verifiedBytes({ files }: ComputeModel): Promise<number> {
  let bytes = 0;
  for (const { path, file, sha256 } of files) {
    const hash = createHash('sha256');
    try {
      bytes += (await stat(file)).size;
      await pipeline(createReadStream(file), hash);
    } catch (error) {
      throw new AppError('model-load-failed', { detail: `The model's file "${path}" cannot be read`, cause: error });
    }
    if (hash.digest('hex') !== sha256) throw new AppError('model-load-failed', { detail: `The model's file "${path}" is not the one that the manifest names` });
  }
  return bytes;
}
