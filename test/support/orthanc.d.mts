export interface OrthancOptions {
  postgres?: boolean;
  dicomWeb?: boolean;
  servers?: Record<string, { url: string; headers?: Record<string, string> }>;
  configuration?: Record<string, unknown>;
}

export interface Orthanc {
  url: string;
  dicomPort: number;
  pid: number;
  /** Of its PostgreSQL, when it has one. */
  databasePid: number | undefined;
  /** With `storage` and `orthanc.log`. */
  folder: string;
  version: string;
  stop(): Promise<void>;
}

export function orthancIsMissing(options?: { postgres?: boolean; dicomWeb?: boolean }): string | undefined;
export function startOrthanc(options?: OrthancOptions): Promise<Orthanc>;
