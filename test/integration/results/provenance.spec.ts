import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { provenanceCommand } from '../../../src/cli/commands/provenance.js';
import { CommandError } from '../../../src/cli/failure.js';
import type { SignedProvenance } from '../../../src/modules/results/provenance/signed-statement.js';
import type { ResultJson } from '../../../src/modules/results/findings-json.js';
import { ROOT, temporaryDirectory } from '../../support/product.js';
import { commitResult, conclusion, openHouse, uploadStudy, type House } from './house.js';

let house: House;
beforeAll(async () => { house = await openHouse(); });
afterAll(async () => { await house.close(); });

const folder = temporaryDirectory();

function written(name: string, value: unknown): string {
  const file = join(folder, name);
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  return file;
}

/** In this process, which starts none for each try. */
async function tried(...args: string[]): Promise<{ status: number; stdout: string; code: string | undefined }> {
  let stdout = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => { stdout += String(text); return true; });
  const before = process.exitCode;
  try {
    const command = provenanceCommand();
    command.commands[0]?.option('--json');
    await command.parseAsync(['verify', ...args], { from: 'user' });
    return { status: process.exitCode === 1 ? 1 : 0, stdout, code: undefined };
  } catch (error) {
    return { status: 1, stdout, code: error instanceof CommandError ? error.code : error instanceof Error && 'code' in error ? String(error.code) : 'unknown' };
  } finally {
    process.exitCode = before;
    write.mockRestore();
  }
}

/** The command as people run it. */
function verify(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist', 'src', 'cli', 'healthvision.js'), 'provenance', 'verify', ...args], { encoding: 'utf8', cwd: folder, env: { PATH: process.env.PATH } });
  return { status, stdout, stderr };
}

async function json<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await house.fetch(path, init)).json() as Promise<T>;
}

describe('the provenance of a result', () => {
  it('is signed, stays so when people change the result, and is verified without the installation', async () => {
    const study = await uploadStudy(house, 200);
    const finding = {
      id: '0198c0de-0000-7000-8000-00000000000a', kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule 结节' }, score: 0.1 + 0.2,
      location: { center: [-0, 1e-7, -141.50000000000003] as [number, number, number], frameOfReferenceUid: '1.2', sopInstanceUid: study.instance.sopInstanceUid, frame: 1 }, measurements: [{ name: 'volume', value: 123456789.123456789, unit: 'mm3' }],
    };
    const id = await commitResult(house, conclusion(house, study, { findings: [finding] }), []);
    const result = await json<ResultJson>(`/api/v1/results/${id}`);
    expect(result.provenance.signature).toMatchObject({ algorithm: 'Ed25519', outputDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string });
    await house.fetch(`/api/v1/results/${id}/reviews`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': '*' }, body: JSON.stringify({ decisions: [{ decision: 'reject', finding: finding.id, reason: 'artefact' }] }) });
    const document = await json<SignedProvenance>(`/api/v1/results/${id}/provenance`);
    expect(document.statement).toMatchObject({ resultId: id, inputDigest: result.provenance.inputDigest, outputDigest: result.provenance.signature?.outputDigest, model: result.provenance.model });

    const file = written('provenance.json', document);
    const keys = written('keys.json', await json('/api/v1/audit-events/keys'));
    expect(await tried(file)).toMatchObject({ status: 0, stdout: expect.stringContaining('valid') as string });
    const trusted = verify(file, '--key', keys, '--json');
    expect([trusted.status, JSON.parse(trusted.stdout)]).toMatchObject([0, { valid: true, keyTrusted: true, statement: { resultId: id } }]);

    const tampered: [string, unknown][] = [
      ['signature-invalid', { ...document, statement: { ...document.statement, software: '9.9.9' } }],
      ['output-changed', { ...document, output: { ...document.output, findings: [] } }],
    ];
    for (const [fault, changed] of tampered) {
      const answer = await tried(written('changed.json', changed), '--key', keys, '--json');
      expect([answer.status, (JSON.parse(answer.stdout) as { fault: string }).fault]).toEqual([1, fault]);
    }
    const stranger = written('stranger.json', { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' });
    expect(await tried(file, '--key', stranger)).toMatchObject({ status: 1, stdout: expect.stringContaining('key-not-trusted') as string });
    for (const [args, code] of [[['nowhere.json'], 'ENOENT'], [[written('text', 'hello')], 'not-json'], [[written('list.json', [])], 'not-a-provenance'], [[file, '--key', written('bad.pem', '-----BEGIN PUBLIC KEY-----')], 'not-a-key'], [[file, '--key', written('none.json', { keys: [] })], 'key-not-found']] as const) {
      expect(await tried(...args)).toMatchObject({ status: 1, code });
    }
    const broken = verify(written('changed.json', tampered[0]?.[1]));
    expect([broken.status, broken.stdout]).toEqual([1, expect.stringContaining('INVALID  signature-invalid')]);
  });

  it('is missing from results of versions that did not sign', async () => {
    const id = await commitResult(house, conclusion(house, await uploadStudy(house, 201)), []);
    const { provenance } = await house.owner.result.findUniqueOrThrow({ where: { id } });
    const { signature: _, ...unsigned } = provenance as Record<string, never>;
    await house.owner.result.update({ where: { id }, data: { provenance: unsigned } });
    expect(await json(`/api/v1/results/${id}/provenance`)).toMatchObject({ status: 404, code: 'result-unsigned-provenance' });
    expect((await house.fetch(`/api/v1/results/${id}`)).status).toBe(200);
  });
});
