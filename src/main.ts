import 'reflect-metadata';
import { setFlagsFromString } from 'node:v8';
import { AppError } from './kernel/errors.js';
import { ConfigurationError, parseConfig, type Config } from './platform/config.js';
import { createLogger } from './platform/ops/logger.js';
import { traceLogFields } from './platform/ops/tracing.js';
import { VERSION } from './platform/version.js';
import { runRole, type RunningRole } from './roles/run.js';

/**
 * How much garbage may gather, in percent of what is in use. V8 would let it double and more while memory is free, which on a
 * machine of a hospital it never is for long; answers do not get slower by it.
 */
const GARBAGE_PERCENT = 40;

/** Threads that compile WebAssembly (Prisma's query compiler). Each keeps some 40 MB afterwards for good, for a tenth of a second saved at the start. */
const WASM_COMPILERS = 1;

/** `npm start`: runs the role of the environment until SIGTERM or SIGINT. Resolves when it listens. */
export async function main(): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${String(GARBAGE_PERCENT)}`);
  setFlagsFromString(`--wasm-num-compilation-tasks=${String(WASM_COMPILERS)}`);
  const config = configOrExit();
  const logger = createLogger(config.LOG_LEVEL, { role: config.APP_ROLE }, 1, config.traces && traceLogFields);
  process.on('unhandledRejection', (err) => { logger.error({ err }, 'unhandled rejection'); });
  let running: RunningRole | undefined;
  const stop = new AbortController();
  stopOnSignal(async () => {
    stop.abort();
    await running?.close();
    return running !== undefined;
  });
  try {
    running = await runRole(config, { logger });
    if (stop.signal.aborted) {
      // It was told to stop while it started.
      await running.close();
      process.exit(0);
    }
    logger.info({ url: running.url, version: VERSION }, 'listening');
    // Tools that asked for PORT=0 read the port here.
    if (running.dimsePort !== undefined) process.stdout.write(`DIMSE listens at port ${String(running.dimsePort)}\n`);
    process.stdout.write(`HealthVision ${VERSION} (${config.APP_ROLE}) listens at ${running.url}\n`);
  } catch (error) {
    if (error instanceof ConfigurationError) exitWith(error.lines);
    if (error instanceof AppError) exitWith([`${error.code}: ${error.message}`]);
    logger.fatal({ err: error }, 'start failed');
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

function configOrExit(): Config {
  try {
    return parseConfig();
  } catch (error) {
    if (error instanceof ConfigurationError) exitWith(error.lines);
    throw error;
  }
}

function exitWith(lines: string[]): never {
  for (const line of lines) process.stderr.write(`healthvision: ${line}\n`);
  process.exit(1);
}

/** @param close  closes what runs; false while the start is not done, which then ends by itself */
function stopOnSignal(close: () => Promise<boolean>): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      // A second signal ends it the hard way.
      process.once(signal, () => process.exit(1));
      close().then((closed) => { if (closed) process.exit(0); }, () => process.exit(1));
    });
  }
}

await main();
