import type { DynamicModule } from '@nestjs/common';
import { AnalysisModule } from '../modules/analysis/analysis.module.js';
import { ImagesModule } from '../modules/images/images.module.js';
import { NotificationsModule } from '../modules/notifications/notifications.module.js';
import { ResultsModule } from '../modules/results/results.module.js';
import { UsersModule } from '../modules/users/users.module.js';
import { QueueModule } from '../platform/queue/queue.module.js';
import { QueuesApiModule } from '../platform/queue/queues.controller.js';
import { WebModule } from '../web/web.module.js';
import { QUEUES } from './queues.js';

/** What answers HTTP. Must never reach job handlers or ONNX Runtime. */
export const API_MODULES = [UsersModule, ImagesModule, ResultsModule, AnalysisModule, NotificationsModule, QueuesApiModule, WebModule];

class ApiRole {}

export function apiRole(): DynamicModule {
  return { module: ApiRole, imports: [QueueModule.forProducers(QUEUES), ...API_MODULES] };
}
