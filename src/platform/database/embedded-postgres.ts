import { randomBytes } from 'node:crypto';
import { chown, mkdir, readFile, realpath, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { AppError, isNoSpace } from '../../kernel/errors.js';
import { isRoot, makePassage } from './embedded-account.js';
import type { EmbeddedLog } from './embedded-account.js';
import { postgresBinaries } from './embedded-binaries.js';
import { SUPERUSER, configureCluster, createCluster, resetPassword } from './embedded-cluster.js';
import { locateCluster, relocatedFolder } from './embedded-location.js';
import { withProcessLock } from './embedded-lock.js';
import { FOREIGN_GRACE_MS, HEARTBEAT_MS, errorCode, isForeign, presenceName, sweepPresence } from './embedded-presence.js';
import { freePort, isStillRunning, runningServer, settledServer, startServer, stopServer } from './embedded-server.js';
import type { PostgresServer } from './embedded-server.js';
import { readState, writeState } from './embedded-state.js';
import type { ClusterState } from './embedded-state.js';

const DATABASE = 'healthvision';
/** What a lease says once its process knows the URL. */
const JOINED = 'joined';
const SUPERVISION_MS = 500;
const MOST_BACKOFF_MS = 30_000;

export interface EmbeddedPostgres {
  /** Valid until close, also across restarts of the server. */
  readonly url: string;
  /** Gives the server back; the last process that does so stops it. */
  close(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  dataDir: string;
  log: EmbeddedLog;
}

/**
 * Starts the PostgreSQL of a data directory, or joins the one that another process started, and keeps it running.
 *
 * @throws AppError `configuration-invalid`, `storage-full` or `database-unavailable`, with PostgreSQL's own words where it spoke
 */
export async function openEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    const dataDir = await prepareDataDir(options.dataDir);
    const member = new Member(dataDir, await presenceName(), options.log);
    await member.join();
    return member;
  } catch (error) {
    throw explain(error, options.dataDir);
  }
}

/**
 * Stops the PostgreSQL of a throw-away data directory and removes its files, wherever they lie. The directory itself stays; it
 * may be gone already.
 *
 * @throws AppError `database-unavailable` while a process uses it
 */
export async function discardEmbeddedPostgres(dataDir: string): Promise<void> {
  const directory = await realpath(dataDir).catch(() => null);
  if (directory === null) return;
  await withProcessLock(lockOf(directory), async () => {
    if ((await sweepPresence(leasesOf(directory))).length > 0) {
      throw new AppError('database-unavailable', { detail: `The database of ${directory} is in use.` });
    }
    const location = (await readState(directory))?.location ?? join(directory, 'postgres');
    const server = await runningServer(location);
    if (server) await stopServer(server);
    for (const path of [location, relocatedFolder(directory), leasesOf(directory)]) await rm(path, { recursive: true, force: true });
    for (const file of ['postgres.json', 'postgres.log']) await rm(join(directory, file), { force: true });
  });
  await rm(lockOf(directory), { recursive: true, force: true });
}

/** One process's share in the server of a data directory. */
class Member implements EmbeddedPostgres {
  url = '';
  private location = '';
  private server: PostgresServer | null = null;
  private timer: NodeJS.Timeout | undefined;
  private checking: Promise<void> | undefined;
  private closing: Promise<void> | undefined;
  private failures = 0;
  private notBefore = 0;
  private lastHeartbeat = Date.now();

  constructor(
    private readonly dataDir: string,
    private readonly lease: string,
    private readonly log: EmbeddedLog,
  ) {}

  async join(): Promise<void> {
    try {
      // Before the lock: whoever is stopping the server sees that it is wanted, or is done before we get our turn.
      await this.signLease();
      await this.waitForForeigners();
      const state = await this.locked(() => this.ensureRunning(false));
      this.url = `postgresql://${SUPERUSER}:${state.password}@127.0.0.1:${String(state.port)}/${DATABASE}`;
      this.location = state.location;
      await this.signLease();
    } catch (error) {
      await this.leave().catch(() => undefined);
      throw error;
    }
    this.timer = setInterval(() => {
      this.checking ??= this.check().finally(() => {
        this.checking = undefined;
      });
    }, SUPERVISION_MS);
    this.timer.unref();
  }

  close(): Promise<void> {
    this.closing ??= (async () => {
      clearInterval(this.timer);
      await this.checking;
      await this.leave();
    })();
    return this.closing;
  }

  private async leave(): Promise<void> {
    try {
      await this.locked(async () => {
        await rm(this.leasePath, { force: true });
        if ((await sweepPresence(leasesOf(this.dataDir))).length > 0) return;
        const state = await readState(this.dataDir);
        const server = state && (await runningServer(state.location));
        if (server) await stopServer(server);
      });
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      // The data directory was removed under us; nobody can want its server.
      if (this.server && (await isStillRunning(this.server))) await stopServer(this.server);
    }
  }

  /** Looks after the server; never throws. */
  private async check(): Promise<void> {
    try {
      if (Date.now() - this.lastHeartbeat >= HEARTBEAT_MS) await this.beat();
      if (Date.now() < this.notBefore) return;
      const server = await runningServer(this.location);
      if (server !== null && server.status !== 'stopping') return;
      await this.locked(() => this.ensureRunning(true));
      this.failures = 0;
      this.notBefore = 0;
    } catch (error) {
      this.failures++;
      const waitMs = Math.min(MOST_BACKOFF_MS, SUPERVISION_MS * 2 ** this.failures);
      this.notBefore = Date.now() + waitMs;
      this.log('error', 'The embedded PostgreSQL does not run and could not be started.', {
        reason: explain(error, this.dataDir).message,
        failedAttempts: this.failures,
        nextAttemptInSeconds: waitMs / 1_000,
      });
    }
  }

  private async beat(): Promise<void> {
    const now = new Date();
    this.lastHeartbeat = now.getTime();
    // Signed anew when somebody removed it.
    await utimes(this.leasePath, now, now).catch(() => this.signLease());
  }

  /** Under the lock: joins the server that runs, or starts it. */
  private async ensureRunning(again: boolean): Promise<ClusterState> {
    const state = await readState(this.dataDir);
    if (state?.ready) {
      this.server = await settledServer(state.location);
      if (this.server) return { ...state, port: this.server.port };
      if (again) this.log('warn', 'The embedded PostgreSQL has ended; it is being started again.');
    }
    const started = await this.start(state);
    if (again) this.log('warn', 'The embedded PostgreSQL runs again.');
    return started;
  }

  private async start(known: ClusterState | null): Promise<ClusterState> {
    const { location, account, version } = await locateCluster(this.dataDir, known, this.log);
    const binaries = await postgresBinaries(account, this.dataDir);
    if (version !== null && version !== binaries.major) {
      throw new AppError('configuration-invalid', {
        detail: `The database in ${location} was made by PostgreSQL ${version}, and this HealthVision brings ${binaries.major}: move it with pg_dumpall of PostgreSQL ${version}, or set DATABASE_URL.`,
      });
    }
    const password = known?.password ?? randomBytes(24).toString('hex');
    // Saved before the cluster is made, so that no crash leaves a cluster whose password nobody knows.
    const state: ClusterState = { version: binaries.major, location, port: await this.choosePort(known), password, ready: false };
    const logFile = join(this.dataDir, 'postgres.log');
    if (version === null) {
      await writeState(this.dataDir, state);
      await createCluster(location, password, binaries, account);
    } else if (known === null) {
      const orphan = await runningServer(location);
      if (orphan) await stopServer(orphan);
      await configureCluster(location, state.port, account);
      await resetPassword(location, password, binaries, account);
      this.log('warn', 'postgres.json was missing; the database of this data directory was given a new password.');
    }
    await configureCluster(location, state.port, account);
    // The server outlives a start that was killed half-way: then it runs already.
    this.server = (await settledServer(location)) ?? (await startServer(location, logFile, binaries, account));
    state.port = this.server.port;
    if (known?.ready !== true) await ensureDatabase(state);
    await writeState(this.dataDir, { ...state, ready: true });
    return state;
  }

  /** While anybody holds the URL the port must not change. */
  private async choosePort(known: ClusterState | null): Promise<number> {
    if (known?.ready) {
      for (const name of await sweepPresence(leasesOf(this.dataDir))) {
        if ((await readFile(join(leasesOf(this.dataDir), name), 'utf8')) === JOINED) return known.port;
      }
    }
    return freePort(known?.port);
  }

  private locked<T>(work: () => Promise<T>): Promise<T> {
    return withProcessLock(lockOf(this.dataDir), work);
  }

  private get leasePath(): string {
    return join(leasesOf(this.dataDir), this.lease);
  }

  private async signLease(): Promise<void> {
    await writeFile(this.leasePath, this.url === '' ? '' : JOINED, { mode: 0o600 });
  }

  /** Two servers on one cluster destroy it, and PostgreSQL cannot see into another machine or container to prevent that. */
  private async waitForForeigners(): Promise<void> {
    const deadline = Date.now() + FOREIGN_GRACE_MS + HEARTBEAT_MS;
    for (let round = 0; ; round++) {
      const members = await sweepPresence(leasesOf(this.dataDir));
      const foreign = await Promise.all(members.map(isForeign));
      if (!foreign.includes(true)) return;
      if (round === 0) this.log('info', 'Another machine or container used this data directory a moment ago; waiting to see whether it is gone.');
      if (Date.now() > deadline) {
        throw new AppError('configuration-invalid', {
          detail: `A HealthVision on another machine or in another container uses ${this.dataDir}: give each its own DATA_DIR and all the same DATABASE_URL.`,
        });
      }
      await sleep(500);
    }
  }
}

async function ensureDatabase(state: ClusterState): Promise<void> {
  const client = new pg.Client({ host: '127.0.0.1', port: state.port, user: SUPERUSER, password: state.password, database: 'postgres' });
  // The query that is under way reports it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
}

/** @returns the folder's path without symbolic links */
async function prepareDataDir(dataDir: string): Promise<string> {
  const wanted = resolve(dataDir);
  if (isRoot()) await makePassage(wanted);
  else await mkdir(wanted, { recursive: true, mode: 0o700 });
  const directory = await realpath(wanted);
  const owner = await stat(directory);
  for (const folder of [leasesOf(directory), lockOf(directory)]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // So that the owner of DATA_DIR can run HealthVision there after root did.
    if (isRoot()) await chown(folder, owner.uid, owner.gid);
  }
  return directory;
}

function leasesOf(dataDir: string): string {
  return join(dataDir, 'postgres.leases');
}

function lockOf(dataDir: string): string {
  return join(dataDir, 'postgres.lock');
}

function explain(error: unknown, dataDir: string): AppError {
  if (error instanceof AppError) return error;
  if (isNoSpace(error)) return new AppError('storage-full', { detail: `No room is left for the database under ${dataDir}.`, cause: error });
  const reason = error instanceof Error ? error.message : String(error);
  if (['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '')) {
    return new AppError('configuration-invalid', { detail: `The embedded PostgreSQL cannot use ${dataDir} (${reason}): choose another DATA_DIR or set DATABASE_URL.`, cause: error });
  }
  return new AppError('database-unavailable', { detail: `The embedded PostgreSQL could not be started: ${reason}`, cause: error });
}
