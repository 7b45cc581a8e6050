import { Global, Module, type DynamicModule } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { CONFIG, type Config } from '../config.js';
import { HealthController } from './health.controller.js';
import { LOGGER, type Logger } from './logger.js';
import { Metrics } from './metrics.js';
import { MetricsController } from './metrics.controller.js';
import { ProcessMetrics } from './process-metrics.js';
import { Readiness } from './readiness.js';
import { Shutdown } from './shutdown.js';

@Global()
@Module({})
export class OpsModule {
  static forRoot(config: Config, logger: Logger): DynamicModule {
    return {
      module: OpsModule,
      imports: [TerminusModule.forRoot({ logger: false })],
      controllers: config.METRICS_PORT === undefined ? [HealthController, MetricsController] : [HealthController],
      providers: [{ provide: CONFIG, useValue: config }, { provide: LOGGER, useValue: logger }, Metrics, ProcessMetrics, Readiness, Shutdown],
      exports: [CONFIG, LOGGER, Metrics, Readiness, Shutdown],
    };
  }
}
