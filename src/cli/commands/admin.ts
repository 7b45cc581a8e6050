import { Command } from 'commander';
import { CommandError } from '../failure.js';
import { paint, writeJson, writeLine } from '../terminal.js';

/** `healthvision admin create`: a platform administrator, straight in the database. */
export function adminCommand(): Command {
  return new Command('admin').description('administrators').addCommand(
    new Command('create')
      .description('make a platform administrator in the database (DATABASE_URL, else the embedded one of DATA_DIR)')
      .requiredOption('--email <address>', 'e-mail address to sign in with')
      .option('--password <password>', 'at least 12 characters, hard to guess; one is made and shown once without it')
      .action(async ({ email, password, json }: { email: string; password?: string; json?: boolean }) => {
        // The same rule as BOOTSTRAP_ADMIN_EMAIL has.
        if (!/^[^@\s]+@[^@\s]+$/.test(email)) throw new CommandError('usage', `${email} is not an e-mail address`);
        const { createAdministrator } = await import('../administrator.js');
        const created = await createAdministrator(email, password);
        if (json) writeJson({ id: created.userId, email: created.email, institutionId: created.institutionId, password: created.password });
        else writeLine(`${paint('green', 'Created')} ${created.email}${created.password === null ? '' : `, password ${created.password} (shown this once)`}`);
      }),
  );
}
