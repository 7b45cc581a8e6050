import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeManifests } from '../../docker/shipped-packages.mjs';

export interface Advisory {
  /** GHSA-… */
  id: string;
  package: string;
  severity: string;
  title: string;
}

interface Report { vulnerabilities?: Record<string, { via: (string | { url: string; name: string; severity: string; title: string })[] }>; message?: string; error?: { summary?: string } }

/** What `npm audit` knows of the packages in the image. @returns undefined, with a loud line, where the registry answers no audits */
export function openAdvisories(registry?: string): Advisory[] | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'healthvision-audit-'));
  try {
    writeManifests(folder);
    const args = ['audit', '--package-lock-only', '--json', '--fetch-retries=0', '--fetch-timeout=20000', ...(registry === undefined ? [] : [`--registry=${registry}`])];
    const { stdout } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 });
    // npm's own format; without `vulnerabilities` it says why there is no report.
    const { vulnerabilities, message, error } = JSON.parse(stdout || '{}') as Report;
    if (vulnerabilities === undefined) {
      console.warn(`SKIPPED: the registry answers no audit (${(message ?? error?.summary ?? 'no answer').replaceAll(/https?:\/\/\S+/g, '…')}); advisories are not checked`);
      return undefined;
    }
    const found = Object.values(vulnerabilities).flatMap(({ via }) => via).filter((cause) => typeof cause !== 'string');
    return [...new Map(found.map(({ url, name, severity, title }) => [url, { id: url.split('/').at(-1) ?? url, package: name, severity, title }])).values()];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
