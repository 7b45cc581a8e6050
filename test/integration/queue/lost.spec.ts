import { describe } from 'vitest';
import { describeLostQueue } from './lost-queue.js';

describe('a queue on PostgreSQL', () => { describeLostQueue('postgres'); });
