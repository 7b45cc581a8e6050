import { BullModule } from '@nestjs/bullmq';
import { Module, type DynamicModule } from '@nestjs/common';
import { ConfigurationError, type Config } from '../config.js';
import { QueueConnection, QueueConnectionModule } from './connection.js';
import { Acknowledgements } from './acknowledgements.service.js';
import { consumerOf, ConsumerLifecycle } from './consumers.js';
import type { JobDefinition } from './job.js';
import { Outbox } from './outbox.js';
import { QUEUE_NAMES, QueueAccess } from './queue-access.js';
import { QueueControl } from './queue-control.service.js';
import { queueErrors } from './queue-errors.js';
import { QueueMetrics } from './queue-metrics.js';
import { PROBE_QUEUE, QueueProbe } from './queue-probe.js';
import { QueueView } from './queue-view.js';
import { JOB_DEFINITIONS, RelayService } from './relay.service.js';
import { Repairs } from './repairs.service.js';
import { SchedulesService } from './schedules.service.js';

/** The one place that talks to BullMQ. Modules append events to the outbox and declare jobs. */
@Module({})
export class QueueModule {
  /** For processes that only append events. @param names  of all queues, for those who look at them */
  static forProducers(names: readonly string[] = []): DynamicModule {
    return {
      module: QueueModule,
      global: true,
      imports: [QueueConnectionModule, connection(), BullModule.registerQueue({ name: PROBE_QUEUE })],
      providers: [Outbox, QueueProbe, queueErrors([PROBE_QUEUE]), { provide: QUEUE_NAMES, useValue: names }, QueueAccess, QueueView, QueueControl],
      exports: [Outbox, QueueProbe, QueueAccess, QueueView, QueueControl],
    };
  }

  /**
   * For processes that run jobs: relay, schedules and a consumer for every job, or for those of `WORKER_QUEUES`.
   * @throws ConfigurationError when two jobs share a queue or `WORKER_QUEUES` names none
   */
  static forWorkers(config: Config, jobs: readonly JobDefinition[]): DynamicModule {
    const consumed = selectJobs(config, jobs);
    return {
      module: QueueModule,
      global: true,
      imports: [QueueConnectionModule, connection(), BullModule.registerQueue({ name: PROBE_QUEUE }, ...jobs.map(({ queue }) => ({ name: queue })))],
      providers: [
        Outbox, QueueProbe, RelayService, SchedulesService, Acknowledgements, ConsumerLifecycle, Repairs, QueueAccess, QueueView, QueueControl, QueueMetrics,
        { provide: JOB_DEFINITIONS, useValue: jobs },
        { provide: QUEUE_NAMES, useValue: jobs.map(({ queue }) => queue) },
        queueErrors([PROBE_QUEUE, ...jobs.map(({ queue }) => queue)]),
        ...consumed.map((definition) => consumerOf(definition, config)),
      ],
      exports: [Outbox, QueueProbe, QueueAccess, QueueView, QueueControl, Repairs],
    };
  }
}

function connection(): DynamicModule {
  return BullModule.forRootAsync({ imports: [QueueConnectionModule], inject: [QueueConnection], useFactory: ({ options }: QueueConnection) => options });
}

function selectJobs(config: Config, jobs: readonly JobDefinition[]): JobDefinition[] {
  const queues = jobs.map(({ queue }) => queue);
  const twice = queues.find((queue, index) => queues.indexOf(queue) !== index);
  if (twice) throw new ConfigurationError([`two handlers are wired to the queue "${twice}"`]);
  const unknown = config.WORKER_QUEUES?.filter((queue) => !queues.includes(queue)) ?? [];
  if (unknown.length > 0) throw new ConfigurationError([`WORKER_QUEUES: no such queue ${unknown.join(', ')}; there are ${queues.join(', ')}`]);
  return jobs.filter(({ queue }) => config.WORKER_QUEUES?.includes(queue) ?? true);
}
