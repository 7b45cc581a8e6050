import { describe, expect, it } from 'vitest';
import { QUEUES } from '../../src/roles/queues.js';
import { JOBS } from '../../src/roles/worker.js';

describe('the list of queues', () => {
  it('names those that workers consume, for processes that do not load them', () => {
    expect([...QUEUES].sort()).toEqual(JOBS.map(({ queue }) => queue).sort());
  });
});
