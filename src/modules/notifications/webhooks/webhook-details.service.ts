import { Injectable } from '@nestjs/common';
import { text } from '../../../imaging/dicom/attributes.js';
import { Catalogue } from '../../images/images.contract.js';
import { StudyResults } from '../../results/results.contract.js';
import type { WebhookDelivery } from './webhook.js';
import type { MessageDetails } from './webhook-message.js';

/** Reads what messages say of patients. It is read for every try and kept nowhere, so that it goes with the study. */
@Injectable()
export class WebhookDetails {
  constructor(
    private readonly catalogue: Catalogue,
    private readonly results: StudyResults,
  ) {}

  /** undefined when the study is gone, or the event is of none. */
  async of({ institutionId, studyInstanceUid, resultId }: WebhookDelivery): Promise<MessageDetails | undefined> {
    if (studyInstanceUid === null) return undefined;
    const [study] = await this.catalogue.studies(institutionId, { studyInstanceUids: [[studyInstanceUid]] }, { limit: 1 });
    if (!study) return undefined;
    const word = (keyword: string): string | null => text(study.attributes, keyword) ?? null;
    const lines = resultId === null ? [] : await this.results.linesOf(institutionId, [study.id], 'en');
    return {
      patient: { id: word('PatientID'), name: word('PatientName'), birthDate: isoDate(word('PatientBirthDate')), sex: word('PatientSex') },
      study: { accessionNumber: word('AccessionNumber'), description: word('StudyDescription'), date: isoDate(study.studyDate) },
      summary: lines.find(({ id }) => id === resultId)?.summary ?? null,
    };
  }
}

function isoDate(date: string | null): string | null {
  return date !== null && /^\d{8}$/.test(date) ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : date;
}
