import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Finding, Provenance, Summary } from '../../../imaging/report/finding.js';
import { Database } from '../../../platform/database/database.js';

/** A result as far as a table of findings tells of it. */
export interface ExportedResult {
  id: string;
  createdAt: Date;
  analysis: string;
  status: string;
  summary: Summary;
  studyInstanceUid: string;
  /** Ours; null when the study came without a Patient ID. */
  patientId: string | null;
  /** As they stand, those that a person has rejected too. */
  findings: Finding[];
  provenance: Provenance;
}

export interface ExportFilter {
  analysis?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** Fewer than an audit event names studies. */
const PAGE = 250;

@Injectable()
export class ResultExportStore {
  constructor(private readonly database: Database) {}

  /** Page by page, oldest first; what is made meanwhile may be missing. */
  async *pages(institutionId: string, { analysis, from, to }: ExportFilter): AsyncGenerator<ExportedResult[]> {
    for (let last: ExportedResult | undefined; ;) {
      const conditions = [
        Prisma.sql`r.institution_id = ${institutionId}::uuid`,
        ...(last ? [Prisma.sql`(r.created_at, r.id) > (${last.createdAt}::timestamptz, ${last.id}::uuid)`] : []),
        ...(analysis === undefined ? [] : [Prisma.sql`r.analysis = ${analysis}`]),
        ...(from === undefined ? [] : [Prisma.sql`r.created_at >= ${from}::timestamptz`]),
        ...(to === undefined ? [] : [Prisma.sql`r.created_at < ${to}::timestamptz`]),
      ];
      const page = await this.database.read<ExportedResult>({ institutionId }, Prisma.sql`
        SELECT r.id, r.created_at AS "createdAt", r.analysis, r.status, r.summary, r.study_instance_uid AS "studyInstanceUid", s.patient_id AS "patientId", coalesce(r.reviewed -> 'findings', r.findings) AS findings, r.provenance
        FROM results r LEFT JOIN studies s ON s.id = r.study_id
        WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY r.created_at, r.id LIMIT ${PAGE}::int`);
      if (page.length > 0) yield page;
      last = page.at(-1);
      if (page.length < PAGE) return;
    }
  }
}
