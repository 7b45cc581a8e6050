import { z } from 'zod';

/** A `FileFate` as it is answered. */
export const fileFateFields = {
  file: z.string().meta({ description: 'Your name for it; `archive.zip/path/entry.dcm` inside an archive' }),
  status: z.enum(['stored', 'duplicate', 'refused']).meta({ description: '`duplicate`: the very same bytes were there before' }),
  studyInstanceUid: z.string().optional(),
  seriesInstanceUid: z.string().optional(),
  sopInstanceUid: z.string().optional(),
  code: z.string().optional().meta({ description: 'Why it was refused' }),
  detail: z.string().optional(),
};
