import { z } from 'zod';
import { FAILURE_CLASSES } from './failure-class.js';
import { JOB_STATES, type JobView, type QueueSummary } from './queue-view.js';

const count = z.number().int().min(0);

export const queueSchema = z.object({
  name: z.string(),
  paused: z.boolean().meta({ description: 'Nobody takes a job of it' }),
  consumers: count.meta({ description: 'Processes that take jobs of it' }),
  counts: z.object({ waiting: count, active: count, delayed: count, failed: count, completed: count }).meta({ description: '`delayed` waits for its next try; `failed` was given up; `completed` is remembered for about an hour' }),
  oldestWaitingSeconds: z.number().nullable().meta({ description: 'Age of the job that waits longest; null when none waits' }),
}).meta({ id: 'Queue' });

export const queuesSchema = z.object({ items: z.array(queueSchema) }).meta({ id: 'Queues' });

export const jobSchema = z.object({
  id: z.string(),
  topic: z.string().meta({ description: 'What the job is about, or the name of a timed job' }),
  state: z.enum(JOB_STATES),
  institutionId: z.uuid().nullable().meta({ description: 'Whose it is; null for a timed job' }),
  attempts: count,
  failure: z.object({ class: z.enum(FAILURE_CLASSES), code: z.string() }).nullable().meta({ description: 'What the last try met' }),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
  dueAt: z.iso.datetime().nullable().meta({ description: 'About when a delayed job gets its turn' }),
}).meta({ id: 'Job' });

export const jobPage = z.object({ items: z.array(jobSchema), nextCursor: z.string().nullable() }).meta({ id: 'JobPage' });

export type QueueJson = z.infer<typeof queueSchema>;
export type JobJson = z.infer<typeof jobSchema>;

export const queueExample: QueueJson = { name: 'run', paused: false, consumers: 2, counts: { waiting: 3, active: 2, delayed: 0, failed: 1, completed: 240 }, oldestWaitingSeconds: 4.2 };

export const jobExample: JobJson = {
  id: '0198c0de-0000-7000-8000-000000000040', topic: 'delivery.due', state: 'failed', institutionId: '0198c0de-0000-7000-8000-000000000001', attempts: 3,
  failure: { class: 'bug', code: 'TypeError' }, createdAt: '2026-11-29T10:00:00.000Z', startedAt: '2026-11-29T10:00:02.000Z', finishedAt: '2026-11-29T10:00:02.100Z', dueAt: null,
};

export function queueJson({ name, isPaused, consumers, counts, oldestWaitingSeconds }: QueueSummary): QueueJson {
  return { name, paused: isPaused, consumers, counts, oldestWaitingSeconds: oldestWaitingSeconds === null ? null : Math.round(oldestWaitingSeconds * 10) / 10 };
}

export function jobJson({ createdAt, startedAt, finishedAt, dueAt, ...job }: JobView): JobJson {
  return { ...job, createdAt: createdAt.toISOString(), startedAt: startedAt?.toISOString() ?? null, finishedAt: finishedAt?.toISOString() ?? null, dueAt: dueAt?.toISOString() ?? null };
}
