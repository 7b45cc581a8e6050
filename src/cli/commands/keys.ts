import { Command } from 'commander';
import type { Config } from '../../platform/config.js';
import { writeJson, writeLine } from '../terminal.js';

/** `healthvision keys rotate`: wraps the keys of institutions and studies anew; no blob is written again. */
export function keysCommand(): Command {
  return new Command('keys').description('encryption keys and signing keys').addCommand(
    new Command('rotate')
      .description('wrap all keys anew: under MASTER_KEY what MASTER_KEY_PREVIOUS wrapped, and data keys under a new key of their institution')
      .addHelpText('after', [
        '',
        'To exchange the master key: start every process with the new one as MASTER_KEY and the old one as MASTER_KEY_PREVIOUS, run this',
        'command with the same two, then take MASTER_KEY_PREVIOUS away. It runs beside a working installation, writes no blob again, and',
        'goes on where it stood when it was cut off.',
      ].join('\n'))
      .action(async ({ json }: { json?: boolean }) => {
        const [{ offline }, { OfflineAuditModule }, { recorded }, { VaultModule }, { KeyRotationService }, { retireOtherLogins }, { CONFIG }, { tlsOf }] = await Promise.all([
          import('../offline.js'), import('../offline-audit.module.js'), import('../recorded.js'), import('../../platform/crypto/vault.module.js'), import('../../platform/crypto/key-rotation.service.js'),
          import('../../platform/database/logins.js'), import('../../platform/config.js'), import('../../platform/database/connection.js'),
        ]);
        const isShown = !json && process.stderr.isTTY;
        const progress = await offline([VaultModule, OfflineAuditModule], (app, database) => recorded(app, 'rotateKeys', async () => {
          const rotated = await app.get(KeyRotationService).rotate(({ institutionKeys, studyKeys }) => {
            if (isShown) process.stderr.write(`\r${String(institutionKeys)} institution keys, ${String(studyKeys)} data keys …`);
          });
          // Their passwords follow from a key that may be known to others.
          await retireOtherLogins(database, tlsOf(app.get<Config>(CONFIG)));
          return rotated;
        }, (rotated) => ({ details: { ...rotated } })));
        if (isShown) process.stderr.write('\n');
        if (json) writeJson(progress);
        else writeLine(`Wrapped anew: ${String(progress.institutionKeys)} institution keys under MASTER_KEY, ${String(progress.studyKeys)} data keys under new institution keys.`);
      }),
  ).addCommand(
    new Command('rotate-signing')
      .description('sign access tokens with a new key from now on; the one before verifies until its last token has run out, so nobody is signed out')
      .action(async ({ json }: { json?: boolean }) => {
        const [{ offline }, { OfflineAuditModule }, { recorded }, { SigningKeysModule }, { SigningKeysService }] = await Promise.all([
          import('../offline.js'), import('../offline-audit.module.js'), import('../recorded.js'), import('../../modules/users/signing-keys.module.js'), import('../../modules/users/signing-keys.service.js'),
        ]);
        const { kid } = await offline([SigningKeysModule, OfflineAuditModule], (app) => recorded(app, 'rotateSigningKey', () => app.get(SigningKeysService).rotate(), ({ kid: made }) => ({ object: made })));
        if (json) writeJson({ kid });
        else writeLine(`New signing key ${kid}; running processes sign with it within 10 s.`);
      }),
  );
}
