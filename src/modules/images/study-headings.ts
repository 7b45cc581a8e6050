import { Injectable } from '@nestjs/common';
import { personName } from '../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { StudyHeadings, type StudyHeading } from './images.contract.js';
import { beginningsOf } from './qido/search-tokens.js';
import { isoDate, word } from './studies-json.js';
import { StudyAttributes, type SealedStudy } from './study-attributes.js';

/** Out of what the rows of studies keep encrypted. */
@Injectable()
export class SealedStudyHeadings extends StudyHeadings {
  constructor(
    private readonly attributes: StudyAttributes,
    private readonly vault: KeyVault,
  ) {
    super();
  }

  async open(studies: readonly SealedStudy[]): Promise<ReadonlyMap<string, StudyHeading>> {
    const opened = await this.attributes.openAll(studies);
    return new Map([...opened].map(([id, attributes]) => [id, headingOf(attributes)]));
  }

  async tokensOf(institutionId: string, text: string): Promise<readonly (readonly bigint[])[]> {
    return beginningsOf(await this.vault.blindIndex(institutionId), text);
  }
}

function headingOf(attributes: DicomJson): StudyHeading {
  const name = personName(attributes, 'PatientName');
  const first = word(attributes, 'PatientName');
  const beside = (group: string | undefined): string | null => (group === undefined || group === '' || group === first ? null : group);
  return {
    patientId: word(attributes, 'PatientID'), patientName: first, patientNameIdeographic: beside(name?.Ideographic), patientNamePhonetic: beside(name?.Phonetic),
    patientBirthDate: isoDate(word(attributes, 'PatientBirthDate')), patientSex: word(attributes, 'PatientSex'),
    accessionNumber: word(attributes, 'AccessionNumber'), studyDescription: word(attributes, 'StudyDescription'),
  };
}
