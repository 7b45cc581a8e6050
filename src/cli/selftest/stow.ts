import { sequence, text } from '../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { stowBody } from '../../platform/http/stow-body.js';
import { CommandError } from '../failure.js';
import { parseJson, type Caller } from './caller.js';
import type { PhantomStudy } from './phantoms.js';

/** Sends a study by STOW-RS. @returns how many bytes went out; throws CommandError where not every instance was stored */
export async function store(caller: Caller, { studyInstanceUid, objects }: PhantomStudy): Promise<number> {
  const { body, contentType } = stowBody(objects);
  const { status, bytes } = await caller.call(`/dicom-web/studies/${studyInstanceUid}`, {
    method: 'POST', scope: 'images:write', body, headers: { 'content-type': contentType }, accept: [409],
  });
  // The DICOM JSON model is what this route answers in.
  const answer = (parseJson(bytes) ?? {}) as DicomJson;
  const failed = sequence(answer, 'FailedSOPSequence');
  const stored = sequence(answer, 'ReferencedSOPSequence').length;
  if (status !== 200 || stored !== objects.length) {
    const comments = failed.flatMap((item) => sequence(item, '00741048').flatMap((attribute) => text(attribute, '00000902') ?? []));
    throw new CommandError('not-stored', `Of ${String(objects.length)} instances ${String(stored)} were stored${comments[0] === undefined ? '' : `; the first that was not: ${comments[0]}`}.`);
  }
  return body.length;
}
