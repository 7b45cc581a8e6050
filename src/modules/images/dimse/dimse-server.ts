import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../../kernel/errors.js';
import { AuditWriter } from '../../../platform/audit/audit-writer.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { IngestService } from '../ingest.service.js';
import type { Association, AssociationLimits, AssociationPorts } from './association.js';
import { DimseCallersStore } from './dimse-callers.store.js';

export const MOST_ASSOCIATIONS = 32;
/** Those that have not asked for an association yet are in it too; more are closed as they come. */
export const MOST_CONNECTIONS = 4 * MOST_ASSOCIATIONS;
/** How long a stop waits for associations. */
const GRACE_MS = 5_000;
/** A stop does not wait for one that has been between messages for so long. */
const QUIET_MS = 500;

const LIMITS: AssociationLimits = { requestMs: 15_000, idleMs: 300_000, patienceMs: 60_000, lingerMs: 2_000 };

/** C-STORE and C-ECHO SCP: what modalities and PACS send by DIMSE goes the way of all images. Listens only where it is told to. */
@Injectable()
export class DimseServer implements BeforeApplicationShutdown {
  /** For tests, which have less time. */
  limits = LIMITS;
  private server: Server | undefined;
  private readonly associations = new Set<Association>();
  private places = MOST_ASSOCIATIONS;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly metrics: Metrics,
    private readonly callers: DimseCallersStore,
    private readonly ingest: IngestService,
    @Inject(AuditWriter) private readonly audit: Pick<AuditWriter, 'write'>,
  ) {}

  /**
   * Listens at DIMSE_PORT.
   *
   * @returns the port, which is a free one for 0; undefined when DIMSE_PORT is not set
   * @throws what `net.Server.listen` emits: EADDRINUSE, EACCES, EADDRNOTAVAIL
   */
  async listen(): Promise<number | undefined> {
    const { DIMSE_PORT: port, HOST: host } = this.config;
    if (port === undefined) return undefined;
    // The library takes 30 MB, which those who do not use it shall not pay for.
    const { Association } = await import('./association.js');
    const ports = this.ports();
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) => { void this.serve(new Association(socket, ports)); });
    server.maxConnections = MOST_CONNECTIONS;
    await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, host, resolve); });
    server.on('error', (err) => { this.logger.error({ err }, 'DIMSE server error'); });
    this.server = server;
    // A server that listens at TCP has an address of that kind.
    const { port: taken } = server.address() as AddressInfo;
    this.logger.info({ port: taken, aeTitle: this.config.DIMSE_AE_TITLE }, 'DIMSE listens');
    return taken;
  }

  /** Takes no more connections, gives those that are at work a few seconds, and aborts the others and the rest. */
  async beforeApplicationShutdown(): Promise<void> {
    const { server } = this;
    if (!server) return;
    const closed = new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
    const deadline = performance.now() + GRACE_MS;
    while (this.associations.size > 0 && performance.now() < deadline) {
      for (const association of this.associations) if (association.quietMs > QUIET_MS) association.abort();
      await sleep(50);
    }
    for (const association of this.associations) association.abort();
    await closed;
    while (this.associations.size > 0) await sleep(50);
  }

  private async serve(association: Association): Promise<void> {
    this.associations.add(association);
    await association.run();
    this.associations.delete(association);
  }

  private ports(): AssociationPorts {
    return {
      ownAeTitle: this.config.DIMSE_AE_TITLE,
      maxObjectBytes: this.config.MAX_UPLOAD_BYTES,
      limits: this.limits,
      logger: this.logger,
      metrics: this.metrics,
      findCaller: (aeTitle) => this.callers.findByAeTitle(aeTitle),
      ingest: async (source, target, peer) => {
        const about = { institutionId: target.institutionId, actorKind: 'system', source: peer.callingAeTitle, action: 'C-STORE', details: { address: peer.address ?? null } } as const;
        try {
          const fate = await this.ingest.ingest(source, target);
          // The sender hears of no success that is not on record, and sends again.
          await this.audit.write({ ...about, outcome: fate.status === 'refused' ? 'failed' : 'succeeded', studyInstanceUids: fate.studyInstanceUid === undefined ? [] : [fate.studyInstanceUid], object: fate.sopInstanceUid ?? null, ...(fate.status === 'refused' && { code: fate.code }) });
          return fate;
        } catch (error) {
          if (!(error instanceof AppError) || error.code !== 'audit-unavailable') await this.audit.write({ ...about, outcome: 'failed', code: error instanceof AppError ? error.code : 'internal' });
          throw error;
        }
      },
      takePlace: () => {
        if (this.places === 0) return false;
        this.places -= 1;
        return true;
      },
      releasePlace: () => { this.places += 1; },
    };
  }
}
