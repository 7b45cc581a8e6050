import { Command, Option } from 'commander';
import { gatherFiles, uploadAll } from '../upload.js';
import { Installation, withConnection, type ConnectionOptions, type FileFate } from '../installation.js';
import { paint, table, writeJson, writeLine } from '../terminal.js';

export interface ImageFields {
  patientId?: string;
  age?: string;
  sex?: string;
  view?: string;
}

/** The options that describe PNG and JPEG pictures, which know nothing of a patient. */
export function withImageFields(command: Command): Command {
  return command
    .option('--patient-id <id>', 'patient of PNG and JPEG pictures')
    .option('--age <years>', 'age of the patient on PNG and JPEG pictures')
    .addOption(new Option('--sex <sex>', 'sex of the patient on PNG and JPEG pictures').choices(['M', 'F', 'O']))
    .addOption(new Option('--view <position>', 'view position of PNG and JPEG pictures').choices(['AP', 'PA', 'LATERAL']));
}

export function formFields({ patientId, age, sex, view }: ImageFields): Record<string, string> {
  return {
    ...(patientId !== undefined && { patientId }), ...(age !== undefined && { patientAge: age }), ...(sex !== undefined && { patientSex: sex }),
    ...(view !== undefined && { viewPosition: view === 'LATERAL' ? 'LL' : view }), modality: 'DX', bodyPart: 'CHEST',
  };
}

/** `healthvision ingest`: files and folders into a running installation. */
export function ingestCommand(): Command {
  const command = new Command('ingest')
    .description('upload a file or a folder (DICOM, ZIP, gzip, PNG, JPEG) to a running installation')
    .argument('<path>', 'file or folder');
  return withConnection(withImageFields(command)).action(async (path: string, options: ConnectionOptions & ImageFields & { json?: boolean }) => {
    const files = await gatherFiles(path);
    const fates = await uploadAll(new Installation(options), files, formFields(options), options.json === true);
    const refused = fates.filter(({ status }) => status === 'refused');
    if (options.json) writeJson({ items: fates });
    else writeFates(fates);
    if (refused.length > 0) process.exitCode = 1;
  });
}

const SHOWN = 30;

/** All refusals and the first of the others. */
export function writeFates(fates: readonly FileFate[]): void {
  const refused = fates.filter(({ status }) => status === 'refused');
  const others = fates.filter(({ status }) => status !== 'refused');
  const shown = [...others.slice(0, SHOWN), ...refused];
  if (shown.length > 0) {
    writeLine(table(shown, [
      { title: 'File', value: ({ file }) => file },
      { title: 'Fate', value: ({ status }) => status, style: ({ status }) => (status === 'refused' ? 'red' : status === 'stored' ? 'green' : 'dim') },
      { title: 'Reason', value: ({ code, detail }) => [code, detail].filter((part) => part !== undefined).join(': ') },
      { title: 'Study', value: ({ studyInstanceUid }) => studyInstanceUid ?? '' },
    ]));
  }
  if (others.length > SHOWN) writeLine(`… and ${String(others.length - SHOWN)} more that were taken (--json lists them)`);
  const studies = new Set(fates.flatMap(({ studyInstanceUid }) => studyInstanceUid ?? []));
  const count = (status: string): number => fates.filter((fate) => fate.status === status).length;
  writeLine(paint(refused.length === 0 ? 'green' : 'yellow', `${String(count('stored'))} stored, ${String(count('duplicate'))} there before, ${String(refused.length)} refused; ${String(studies.size)} ${studies.size === 1 ? 'study' : 'studies'}`));
}
