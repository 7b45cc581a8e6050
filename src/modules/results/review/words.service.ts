import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { Decision } from '../../../imaging/report/review.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';

/** What somebody said in words about a version; it may name the patient. */
export interface Words {
  reason?: string | undefined;
  statement?: string | undefined;
  /** By the index of the decision. */
  comments?: Readonly<Record<string, string>> | undefined;
}

const wordsSchema = z.object({ reason: z.string().optional(), statement: z.string().optional(), comments: z.record(z.string(), z.string()).optional() });

interface Place {
  institutionId: string;
  studyInstanceUid: string;
  resultId: string;
  version: number;
}

/** Seals words with the key of their study, so that they are noise once it is destroyed. */
@Injectable()
export class ReviewWords {
  constructor(private readonly vault: KeyVault) {}

  /** null when nothing was said. @throws AppError `key-destroyed` */
  async seal(words: Words, place: Place): Promise<Buffer | null> {
    if (words.reason === undefined && words.statement === undefined && Object.keys(words.comments ?? {}).length === 0) return null;
    return (await this.vault.keyOfStudy(place.institutionId, place.studyInstanceUid)).seal(Buffer.from(JSON.stringify(words)), contextOf(place));
  }

  /** @throws AppError `key-destroyed`, `blob-corrupt` */
  async open(sealed: Uint8Array | null, place: Place): Promise<Words> {
    if (sealed === null) return {};
    const text = (await this.vault.keyOfStudy(place.institutionId, place.studyInstanceUid)).open(sealed, contextOf(place));
    return wordsSchema.parse(JSON.parse(text.toString()));
  }
}

/** Decisions without their comments, and those by themselves. */
export function apart(decisions: readonly Decision[]): { decisions: Omit<Decision, 'comment'>[]; comments: Record<string, string> } {
  const comments = decisions.flatMap(({ comment }, index) => (comment === undefined ? [] : [[String(index), comment] as const]));
  return { decisions: decisions.map(({ comment: _, ...rest }) => rest), comments: Object.fromEntries(comments) };
}

function contextOf({ resultId, version }: Place): string {
  return `results/${resultId}/versions/${String(version)}`;
}
