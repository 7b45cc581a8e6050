import type { Bundle, OperationOutcome, Resource } from '@medplum/fhirtypes';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { newDicomUid, uuidv7 } from '../../../src/kernel/uid.js';
import type { NewResult } from '../../../src/modules/results/results.contract.js';
import { dicomFile, type Element } from '../../support/dicom-builder.js';
import { modelsDirectory } from '../analysis/model-packs.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { postForm } from '../users/house.js';
import { commitResult, conclusion, type House } from './house.js';

export interface FhirAnswer<T> {
  status: number;
  headers: Headers;
  text: string;
  body: T;
}

/** The whole product, with a model that sees brightness, and how FHIR is asked. */
export interface FhirHouse extends PatientHouse {
  /** Below `/fhir/`; the caller names what comes back. */
  get<T = Resource>(path: string, headers?: Record<string, string>): Promise<FhirAnswer<T>>;
  bundle(path: string, headers?: Record<string, string>): Promise<Bundle>;
  outcome(path: string, headers?: Record<string, string>): Promise<FhirAnswer<OperationOutcome>>;
  /** Stores a result of a study, as a run would. */
  conclude(studyInstanceUid: string, changes?: Partial<NewResult>): Promise<string>;
  /** Stores one image of a patient whose name is in Chinese. */
  sendChinese(patientId: string, more?: readonly Element[]): Promise<string>;
}

export async function openFhirHouse(): Promise<FhirHouse> {
  const house = await openPatientHouse({ MODELS_DIR: modelsDirectory(['bright']), RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0', RATE_LIMIT_ANONYMOUS: '0' });
  const get = async <T>(path: string, headers: Record<string, string> = {}): Promise<FhirAnswer<T>> => {
    const response = await house.fetch(`/fhir/${path}`, { headers });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: (text === '' ? undefined : JSON.parse(text)) as T };
  };
  return {
    ...house, get,
    bundle: async (path, headers) => {
      const { status, text, body } = await get<Bundle>(path, headers);
      if (status !== 200) throw new Error(`${path}: ${String(status)} ${text}`);
      return body;
    },
    outcome: (path, headers) => get(path, headers),
    // These two ask the house only for its modules and its institution.
    conclude: async (studyInstanceUid, changes = {}) => {
      const stored = await house.study(studyInstanceUid);
      // Findings lie in the image that is there.
      const findings = (changes.findings ?? []).map(({ location, ...finding }) => ({ ...finding, ...(location && { location: { ...location, sopInstanceUid: stored.instance.sopInstanceUid } }) }));
      const id = await commitResult(house as unknown as House, conclusion(house as unknown as House, stored, { ...changes, findings }));
      const { status, faults } = await house.system((client) => client.result.findUniqueOrThrow({ where: { id }, select: { status: true, faults: true } }));
      if (status !== 'preliminary') throw new Error(JSON.stringify(faults));
      return id;
    },
    sendChinese: async (patientId, more = []) => {
      const study = newDicomUid();
      const bytes = dicomFile([
        // "王^小东" and "Wang^XiaoDong=王^小东" in GB18030.
        [0x00080005, 'CS', 'GB18030'], [0x00080018, 'UI', newDicomUid()], [0x00080020, 'DA', '20260103'], [0x00080030, 'TM', '101500'], [0x00080060, 'CS', 'CT'], [0x00080201, 'SH', '+0800'],
        [0x00100010, 'PN', Buffer.concat([Buffer.from('Wang^XiaoDong='), Buffer.from([0xcd, 0xf5]), Buffer.from('^'), Buffer.from([0xd0, 0xa1, 0xb6, 0xab])])],
        [0x00100020, 'LO', patientId], [0x00100030, 'DA', '19720304'], [0x00100040, 'CS', 'F'], [0x0020000d, 'UI', study], [0x0020000e, 'UI', newDicomUid()], ...more,
      ]);
      const form = new FormData();
      form.append('files', new Blob([new Uint8Array(bytes)]), 'a.dcm');
      const { status } = await house.fetch('/api/v1/images', { method: 'POST', body: form });
      if (status !== 201) throw new Error(`not stored: ${String(status)}`);
      return study;
    },
  };
}

/** A SMART Backend Services client: registered with its public key, it signs for a token. @returns the Authorization header for scopes */
export async function smartClient(house: FhirHouse, permissions: readonly string[]): Promise<(scope: string) => Promise<{ status: number; headers: Record<string, string> }>> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const { id } = await house.json<{ id: string }>('/api/v1/oauth-clients', {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Report archive', scopes: permissions, authentication: 'private_key_jwt', jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'one' }] } }),
  });
  const { token_endpoint: endpoint } = (await (await fetch(`${house.url}/fhir/.well-known/smart-configuration`)).json()) as { token_endpoint: string };
  return async (scope) => {
    const assertion = await new SignJWT({ jti: uuidv7() }).setProtectedHeader({ alg: 'ES256', kid: 'one' }).setIssuer(id).setSubject(id).setAudience(endpoint).setIssuedAt().setExpirationTime('1m').sign(privateKey);
    const { status, body } = await postForm(endpoint, { grant_type: 'client_credentials', scope, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: assertion });
    return { status, headers: { authorization: `Bearer ${(body as { access_token?: string }).access_token ?? ''}` } };
  };
}
