/** Outbox topic: all bytes of a resumable upload are there. */
export const UPLOAD_WHOLE = 'upload.whole';

/** Written in the transaction that stores the last byte. */
export type UploadWhole = { institutionId: string; uploadId: string };
