import { describe } from 'vitest';
import { redisIsInstalled } from '../../support/redis.js';
import { describeLostQueue } from './lost-queue.js';

describe.skipIf(!redisIsInstalled())('a queue on Redis', () => { describeLostQueue('redis'); });
