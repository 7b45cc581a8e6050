import { Command } from 'commander';
import type { Verification } from '../../platform/audit/audit-verifier.js';
import { isUuid } from '../../kernel/uid.js';
import { CommandError } from '../failure.js';
import { paint, writeJson, writeLine } from '../terminal.js';

/** `healthvision audit verify`: walks the chains of the audit trail; exit status 1 when one is broken. */
export function auditCommand(): Command {
  return new Command('audit').description('the audit trail').addCommand(
    new Command('verify')
      .description('verify the chains of the audit trail and name the first broken link of each')
      .option('--institution <id>', 'this institution’s chain alone; all zeros for what belongs to none')
      .addHelpText('after', '\nNeeds MASTER_KEY, or the key file of DATA_DIR. Exit status 1 when a chain is broken. It runs beside a working installation.')
      .action(async ({ institution, json }: { institution?: string; json?: boolean }) => {
        if (institution !== undefined && !/^[0-]+$/.test(institution) && !isUuid(institution)) throw new CommandError('usage', '--institution must be the id of an institution');
        const [{ offline }, { OfflineAuditModule }, { AuditSealer }, { AuditVerifier }] = await Promise.all([
          import('../offline.js'), import('../offline-audit.module.js'), import('../../platform/audit/audit-sealer.js'), import('../../platform/audit/audit-verifier.js'),
        ]);
        const isShown = !json && process.stderr.isTTY;
        const verifications = await offline([OfflineAuditModule], async (app) => {
          // What a process that was killed left unsealed is no fault.
          await app.get(AuditSealer).seal();
          const verifier = app.get(AuditVerifier);
          const done: Verification[] = [];
          for (const id of institution === undefined ? await verifier.institutions() : [institution]) {
            done.push(await verifier.verify('system', id, {}, (events) => { if (isShown) process.stderr.write(`\r\u001b[2K${id}: ${String(events)} events …`); }));
            if (isShown) process.stderr.write('\r\u001b[2K');
          }
          return done;
        });
        const broken = verifications.filter(({ broken: link }) => link !== null);
        if (json) writeJson({ intact: broken.length === 0, chains: verifications.map(chainJson) });
        else for (const verification of verifications) writeLine(lineOf(verification));
        if (broken.length > 0) process.exitCode = 1;
      }),
  );
}

function lineOf({ institutionId, events, checkpoints, hash, broken }: Verification): string {
  if (!broken) return `${paint('green', 'intact')}  ${institutionId}  ${String(events)} events, ${String(checkpoints)} checkpoints${events > 0 ? `, ends with ${hash}` : ''}`;
  const place = [
    broken.position === null ? undefined : `position ${String(broken.position)}`, broken.eventId === null ? undefined : `event ${broken.eventId}`, broken.sequence === null ? undefined : `sequence ${String(broken.sequence)}`,
  ].filter((part) => part !== undefined).join(', ');
  return `${paint('red', 'BROKEN')}  ${institutionId}  ${broken.fault} at ${place}: ${broken.explanation} ${String(events)} events before it hold.`;
}

/** Numbers of PostgreSQL that JSON has no form for are far away. */
function chainJson({ position, broken, ...rest }: Verification): object {
  return {
    ...rest, position: Number(position), intact: broken === null,
    broken: broken && { ...broken, position: broken.position === null ? null : Number(broken.position), sequence: broken.sequence === null ? null : Number(broken.sequence) },
  };
}
