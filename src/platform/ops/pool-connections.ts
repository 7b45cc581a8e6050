import { Gauge, type Registry } from 'prom-client';

/** As node-postgres counts. */
export interface PoolCounts {
  /** Connections that there are. */
  totalCount: number;
  /** Of those, the ones that nobody holds. */
  idleCount: number;
  /** Callers that wait for one. */
  waitingCount: number;
}

/** A gauge of the pools of database connections that this process has. */
export class PoolConnections {
  private readonly pools = new Map<string, PoolCounts>();

  constructor(registry: Registry) {
    const gauge = new Gauge({
      name: 'healthvision_database_pool_connections', help: 'Connections to PostgreSQL by pool and state: in-use, idle; waiting counts callers that wait for one', labelNames: ['pool', 'state'], registers: [registry],
      collect: () => {
        for (const [pool, { totalCount, idleCount, waitingCount }] of this.pools) {
          gauge.set({ pool, state: 'in-use' }, totalCount - idleCount);
          gauge.set({ pool, state: 'idle' }, idleCount);
          gauge.set({ pool, state: 'waiting' }, waitingCount);
        }
      },
    });
  }

  /** @param name  a fixed one */
  watch(name: string, pool: PoolCounts): void {
    this.pools.set(name, pool);
  }
}
