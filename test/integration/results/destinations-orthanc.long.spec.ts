import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import type { DeliveryJson, DestinationJson } from '../../../src/modules/results/destinations/destinations-json.js';
import { WRITERS } from '../../support/derived-writers.js';
import { orthancIsMissing, startOrthanc } from '../../support/orthanc.mjs';
import { eventually } from '../../support/product.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';
import { ctStudy, noduleResult, writeWith } from './derived-house.js';
import { commitResult, type House } from './house.js';

const missing = orthancIsMissing();
if (missing !== undefined) process.stderr.write(`\n*** ${missing}: results are sent to no Orthanc, SKIPPED ***\n\n`);

describe.skipIf(missing !== undefined)('Orthanc as a destination', () => {
  let house: PatientHouse;
  let orthanc: Awaited<ReturnType<typeof startOrthanc>>;
  beforeAll(async () => {
    house = await openPatientHouse({ ALLOWED_PRIVATE_HOSTS: '127.0.0.1' });
    writeWith(house, WRITERS);
    orthanc = await startOrthanc({ configuration: { DicomAlwaysAllowStore: true } });
  });
  afterAll(async () => {
    await orthanc.stop();
    await house.close();
  });

  it.each(['stow', 'dimse'])('stores SEG and SR that come by %s, and takes them a second time', async (kind) => {
    const study = await ctStudy(house, `orthanc ${kind}`);
    const target = kind === 'stow' ? { kind, url: `${orthanc.url}/dicom-web` } : { kind, host: '127.0.0.1', port: orthanc.dicomPort, calledAeTitle: 'ORTHANC' };
    const destination = await house.json<DestinationJson>('/api/v1/destinations', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'Orthanc', target }) });
    const id = await commitResult(house as unknown as House, noduleResult(house, study));
    const delivered = (): Promise<DeliveryJson> => eventually('the delivery', async () => {
      const { items: [first] } = await house.json<{ items: DeliveryJson[] }>(`/api/v1/destinations/${destination.id}/deliveries`);
      return first !== undefined && (first.state !== 'waiting' || first.failure !== null) && first;
    }, 60_000);
    const delivery = await delivered();
    expect(delivery).toMatchObject({ resultId: id, state: 'delivered', failure: null });
    for (const object of ['seg', 'sr']) {
      const { seriesInstanceUid, sopInstanceUid } = parseInstanceBytes(new Uint8Array(await (await house.fetch(`/api/v1/results/${id}/${object}.dcm`)).arrayBuffer()));
      const there = await fetch(`${orthanc.url}/dicom-web/studies/${study.studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}/metadata`);
      expect([object, there.status]).toEqual([object, 200]);
    }
    expect((await house.fetch(`/api/v1/destinations/${destination.id}/deliveries/${delivery.id}/redeliver`, { method: 'POST' })).status).toBe(202);
    expect(await delivered()).toMatchObject({ state: 'delivered', attempts: 1 });
    await house.fetch(`/api/v1/destinations/${destination.id}`, { method: 'DELETE' });
  });
});
