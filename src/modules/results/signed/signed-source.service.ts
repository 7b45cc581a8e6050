import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { sequence, text } from '../../../imaging/dicom/attributes.js';
import { parseInstanceBytes } from '../../../imaging/dicom/header.js';
import type { Finding } from '../../../imaging/report/finding.js';
import { inputDigestOf } from '../../../imaging/report/input-digest.js';
import { standing } from '../../../imaging/report/review.js';
import type { PackedSegmentation } from '../../../imaging/volume/packed-labels.js';
import { BlobStore } from '../../../platform/storage/blob-store.js';
import { DerivedInstances, StudyReader, type StoredInstance, type StoredStudy } from '../../images/images.contract.js';
import type { ObjectsSource } from '../derived-objects.service.js';
import { resultSummary } from '../findings-json.js';
import { ReportStore } from '../report/report.store.js';
import { ResultsStore, type ResultRecord, type StoredSegmentation } from '../results.store.js';
import { ResultVersionsStore, type VersionRecord } from '../review/versions.store.js';

type Known = StoredInstance & { seriesInstanceUid: string };

/** What the objects of a signed version are made from. */
export interface SignedSource {
  source: ObjectsSource;
  studyId: string;
  /** `StoredInstance.id` of every instance in `source`. */
  instanceIds: string[];
  /** The images are those that the result was computed from. */
  isInputUnchanged: boolean;
}

/** Whether objects of this version are still to be made: what was signed anew since is sent in its place. */
export function isDue({ status, review, objects }: Pick<ResultRecord, 'status' | 'review' | 'objects'>, version: number): boolean {
  return status !== 'withheld' && review?.signedVersion === version && !objects.some((one) => one.version === version);
}

/** Gathers what a signed version says, and the images that it is about, from what is stored. */
@Injectable()
export class SignedSources {
  constructor(
    private readonly results: ResultsStore,
    private readonly versions: ResultVersionsStore,
    private readonly studies: StudyReader,
    private readonly instances: DerivedInstances,
    private readonly blobs: BlobStore,
    private readonly report: ReportStore,
  ) {}

  /** null when there is nothing to be made, or nothing left to make it from. @throws AppError `blob-missing` and others of the blob store */
  async of(institutionId: string, resultId: string, version: number): Promise<SignedSource | null> {
    const [current, original, signed] = await Promise.all([this.results.find(institutionId, resultId), this.results.original(institutionId, resultId), this.versions.find(institutionId, resultId, version)]);
    if (!current || !original || signed?.kind !== 'sign-off' || !isDue(current, version)) return null;
    const study = await this.studies.find(institutionId, original.studyInstanceUid);
    if (!study) return null;
    const known = new Map(study.series.flatMap(({ seriesInstanceUid, instances }) => instances.map((instance): [string, Known] => [instance.sopInstanceUid, { ...instance, seriesInstanceUid }])));
    const read = (await this.readUids(original, study)).flatMap((uid) => known.get(uid) ?? []);
    const findings = standing(signed.content.findings);
    const all = [...new Set([...read, ...findings.flatMap(({ location }) => (location && known.get(location.sopInstanceUid)) ?? [])])];
    const { segmentation } = original.rendering;
    return {
      studyId: original.studyId, instanceIds: all.map(({ id }) => id), isInputUnchanged: inputDigestOf(read) === original.provenance.inputDigest,
      source: {
        ...aboutOf(original, signed, findings), verifier: { name: signed.authorName, organisation: await this.report.institutionName(institutionId), at: signed.createdAt },
        instances: all.map(({ sopInstanceUid, sopClassUid, seriesInstanceUid, attributes }) => ({ sopInstanceUid, sopClassUid, seriesInstanceUid, attributes })),
        segmentation: segmentation ? await this.unsealed(segmentation) : null,
      },
    };
  }

  /** SOP Instance UIDs of what was read: the evidence of the first report, or, of results that have none, everything in the series that were selected. */
  private async readUids({ institutionId, objects, provenance }: ResultRecord, study: StoredStudy): Promise<string[]> {
    const [first] = objects.filter(({ kind }) => kind === 'sr').sort((a, b) => a.version - b.version);
    const stored = first && (await this.instances.find(institutionId, first.sopInstanceUid));
    if (stored) {
      const { attributes } = parseInstanceBytes(await this.studies.readInstance(stored.blobKey));
      const referenced = ['CurrentRequestedProcedureEvidenceSequence', 'ReferencedSeriesSequence', 'ReferencedSOPSequence'].reduce((items, keyword) => items.flatMap((item) => sequence(item, keyword)), [attributes]);
      return referenced.flatMap((item) => text(item, 'ReferencedSOPInstanceUID') ?? []);
    }
    const selected = selectionSchema.safeParse(provenance.details).data?.selection.series.map(({ seriesInstanceUid }) => seriesInstanceUid) ?? [];
    return study.series.filter(({ seriesInstanceUid }) => selected.includes(seriesInstanceUid)).flatMap(({ instances }) => instances.map(({ sopInstanceUid }) => sopInstanceUid));
  }

  private async unsealed({ blobKey, ...about }: StoredSegmentation): Promise<PackedSegmentation> {
    return { ...about, packed: new Uint8Array(await this.blobs.read(blobKey)) };
  }
}

/** As runs write it. */
const selectionSchema = z.object({ selection: z.object({ series: z.array(z.object({ seriesInstanceUid: z.string() })) }) });

/** What was signed. Made again it is the same to the byte, so the time is that of the signature. */
function aboutOf(original: ResultRecord, { version, createdAt, content: { labels, segments } }: VersionRecord, findings: Finding[]): Omit<ObjectsSource, 'instances' | 'segmentation' | 'verifier'> {
  const { id: resultId, analysisId, analysis, studyInstanceUid, provenance, objects, rendering: { keyImage } } = original;
  const [before] = objects.filter((one) => one.kind === 'sr' && one.version < version).sort((a, b) => b.version - a.version);
  return {
    resultId, analysisId, analysis, studyInstanceUid, version, createdAt, findings, labels, segments, provenance,
    summary: { text: resultSummary({ ...original, findings, labels, segments }, 'en'), critical: original.summary.critical },
    keyImage: keyImage && { sopInstanceUid: keyImage.sopInstanceUid, frame: keyImage.frame },
    original: original.findings,
    predecessors: before ? [{ sopClassUid: before.sopClassUid, seriesInstanceUid: before.seriesInstanceUid, sopInstanceUid: before.sopInstanceUid }] : [],
  };
}
