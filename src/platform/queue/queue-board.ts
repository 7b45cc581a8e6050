import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AppControllerRoute, BullBoardQueues, BullBoardRequest, IServerAdapter, UIConfig } from '@bull-board/api/typings/app';
import type { JobType, Queue } from 'bullmq';
import { AppError } from '../../kernel/errors.js';

export interface BoardCall {
  method: 'get' | 'put';
  /** Below the board: `/api/queues`. */
  path: string;
  query: Record<string, unknown>;
}

export interface BoardAnswer {
  status: number;
  body: unknown;
}

/** Where jobs of a paused queue are counted on PostgreSQL; no type of BullMQ's any more. */
const PAUSED = 'paused' as JobType;

/** A queue as the board shows it. */
class BoardQueue extends BullMQAdapter {
  constructor(private readonly shown: Queue) {
    super(shown); // the same class, from the other half of a package that has two
    // Which study it is about is nobody's business who looks after queues.
    this.setFormatter('data', (data: Record<string, unknown> | null) => Object.fromEntries(Object.entries(data ?? {}).filter(([name]) => name !== 'studyInstanceUid')));
  }

  override async getJobCounts(): ReturnType<BullMQAdapter['getJobCounts']> {
    const { [PAUSED]: paused = 0, ...counts } = await this.shown.getJobCounts('active', 'completed', 'delayed', 'failed', 'prioritized', 'waiting', 'waiting-children', PAUSED);
    return { ...counts, waiting: (counts.waiting ?? 0) + paused };
  }
}

/** Takes what the board is made of, and leaves HTTP to us. */
class Parts implements IServerAdapter {
  queues: BullBoardQueues = new Map();
  config: UIConfig = {};
  routes: { method: string; pattern: RegExp; names: string[]; handler: (request: BullBoardRequest) => ReturnType<AppControllerRoute['handler']> }[] = [];

  setQueues(queues: BullBoardQueues): this { this.queues = queues; return this; }
  setUIConfig(config: UIConfig): this { this.config = config; return this; }
  setViewsPath(): this { return this; }
  setStaticPath(): this { return this; }
  setEntryRoute(): this { return this; }
  setErrorHandler(): this { return this; }

  setApiRoutes(routes: AppControllerRoute[]): this {
    this.routes = routes.flatMap((given) => [given.method].flat().flatMap((method) => [given.route].flat().map((path) => ({
      method, handler: (request: BullBoardRequest) => given.handler(request), names: [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name), pattern: new RegExp(`^${path.replace(/:\w+/g, '([^/]+)')}$`),
    }))));
    return this;
  }
}

/** What the board itself may change; the rest is ours to do, or nobody's: it would empty queues, or put made-up jobs into them. */
const CHANGES = /^\/api\/queues\/[^/]+\/(?:retry\/failed|promote|[^/]+\/promote)$/;

/** Bull Board without its server: what it answers about the queues that we give it. */
export class Board {
  private readonly parts = new Parts();

  constructor(queues: readonly Queue[], uiBasePath: string) {
    createBullBoard({
      queues: queues.map((queue) => new BoardQueue(queue)), serverAdapter: this.parts,
      options: { uiBasePath, uiConfig: { boardTitle: 'HealthVision', hideDocsLink: true, miscLinks: [{ text: 'HealthVision', url: '/' }], favIcon: { default: '/assets/icon.svg', alternative: '/assets/icon.svg' }, pollingInterval: { showSetting: true, forceInterval: 0 } } },
    });
  }

  get config(): UIConfig {
    return this.parts.config;
  }

  /** @throws AppError `not-found`, `forbidden` */
  async answer({ method, path, query }: BoardCall): Promise<BoardAnswer> {
    for (const route of this.parts.routes) {
      const match = route.method === method ? route.pattern.exec(path) : null;
      if (!match) continue;
      if (method !== 'get' && !CHANGES.test(path)) throw new AppError('forbidden', { detail: 'The board does not do this.' });
      const params = Object.fromEntries(route.names.map((name, index) => [name, decodeURIComponent(match[index + 1] ?? '')]));
      const request: BullBoardRequest = { queues: this.parts.queues, uiConfig: this.parts.config, query, params, body: {}, headers: {} };
      const { status = 200, body } = await route.handler(request);
      return { status, body };
    }
    throw new AppError('not-found');
  }
}
