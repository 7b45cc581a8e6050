import { Command } from 'commander';
import { writeFile } from 'node:fs/promises';
import { writeLine } from '../terminal.js';

/** `healthvision openapi`: the OpenAPI document, without a database. */
export function openapiCommand(): Command {
  return new Command('openapi')
    .description('write the OpenAPI 3.1 document')
    .option('--out <file>', 'into a file instead of standard output')
    .option('--json', 'the document is JSON in any case')
    .action(async ({ out }: { out?: string }) => {
      const { openApiDocument } = await import('../openapi-document.js');
      const text = `${JSON.stringify(await openApiDocument(), null, 2)}\n`;
      if (out === undefined) {
        process.stdout.write(text);
        return;
      }
      await writeFile(out, text);
      writeLine(`Wrote ${out}`);
    });
}
