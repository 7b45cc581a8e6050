import { createReadStream } from 'node:fs';
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../kernel/errors.js';
import type { CacheLimits, ComputeModel, Resident, SessionNews } from './compute-protocol.js';
import { openOnnxSession, type ExecutionProvider, type OnnxSession, type SessionOptions } from './onnx-session.js';

interface WarmModel {
  /** The network that was opened last, with the path that the manifest names. */
  open: { path: string; session: OnnxSession } | undefined;
  bytes: number;
  /** Paths whose execution provider was told. */
  told: Set<string>;
}

/**
 * The warm sessions of one thread, by model. The model that was not used for the longest time is released when there are too many.
 *
 * A session keeps what its largest run took, gigabytes for a volume, and allocating anew for every layer would take half as long again. So of a model
 * with several networks one is open at a time.
 */
export class SessionCache {
  // A Map keeps the order of insertion: the first is the least recently used.
  private readonly models = new Map<string, WarmModel>();

  constructor(
    private readonly options: SessionOptions,
    private readonly limits: CacheLimits,
    private readonly tell: (news: SessionNews) => void,
  ) {}

  /**
   * @param path  of an .onnx file, as the manifest names it
   * @throws AppError `model-load-failed` when a file is missing or is not the one that the manifest names, `out-of-memory`
   */
  async get(model: ComputeModel, path: string): Promise<OnnxSession> {
    const session = await this.open(model, path);
    return hasSeveral(model) ? { ...session, run: async (feeds) => (await this.open(model, path)).run(feeds) } : session;
  }

  /** The run of a model is over: gives back what one of several networks holds, for the next run begins with another. */
  async rest(model: ComputeModel): Promise<void> {
    const held = this.models.get(model.digest);
    if (held && hasSeveral(model)) await this.release(held);
  }

  /** Forgets a model's sessions, after an error that may have left them in any state. */
  async drop(digest: string): Promise<void> {
    const held = this.models.get(digest);
    this.models.delete(digest);
    if (held) await this.release(held);
  }

  private async open(model: ComputeModel, path: string): Promise<OnnxSession> {
    const started = performance.now();
    const warm = await this.warm(model);
    if (warm.open?.path === path) return warm.open.session;
    const onnx = model.files.find((file) => file.path === path);
    if (onnx === undefined) throw new AppError('model-load-failed', { detail: `The model has no file "${path}"` });
    await this.release(warm);
    const session = await openOnnxSession(onnx.file, this.options);
    if (!warm.told.has(path)) for (const fallback of session.fallbacks) this.tell({ kind: 'fallback', fallback });
    warm.told.add(path);
    warm.open = { path, session };
    this.tell({ kind: 'loaded', loaded: { model: model.manifest.name, provider: session.provider, seconds: (performance.now() - started) / 1000 } });
    this.tell({ kind: 'resident', resident: this.resident() });
    return session;
  }

  private async release(model: WarmModel): Promise<void> {
    const { open } = model;
    if (!open) return;
    model.open = undefined;
    await open.session.release().catch(() => undefined);
    this.tell({ kind: 'resident', resident: this.resident() });
  }

  private resident(): Resident {
    const counts: Partial<Record<ExecutionProvider, number>> = {};
    for (const { open } of this.models.values()) if (open) counts[open.session.provider] = (counts[open.session.provider] ?? 0) + 1;
    return counts;
  }

  /** The model as the most recently used one; its files are verified when it is new. */
  private async warm(model: ComputeModel): Promise<WarmModel> {
    const held = this.models.get(model.digest);
    if (held) {
      this.models.delete(model.digest);
      this.models.set(model.digest, held);
      return held;
    }
    const bytes = await verifiedBytes(model);
    await this.makeRoom(bytes);
    const made: WarmModel = { open: undefined, bytes, told: new Set() };
    this.models.set(model.digest, made);
    return made;
  }

  private async makeRoom(bytes: number): Promise<void> {
    for (const digest of [...this.models.keys()]) {
      const total = [...this.models.values()].reduce((sum, held) => sum + held.bytes, bytes);
      if (this.models.size < this.limits.maxModels && total <= this.limits.maxBytes) return;
      await this.drop(digest);
    }
  }
}

function hasSeveral({ files }: ComputeModel): boolean {
  return files.filter(({ path }) => path.endsWith('.onnx')).length > 1;
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
