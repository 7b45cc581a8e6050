import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that the account PostgreSQL runs under may enter. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'healthvision-test-'));
  chmodSync(path, 0o711);
  return path;
}
