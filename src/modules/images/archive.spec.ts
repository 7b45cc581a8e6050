import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { sha256Hex } from '../../kernel/digest.js';
import { AppError } from '../../kernel/errors.js';
import { InflationBudget, type ArchiveLimits } from './archive-guard.js';
import { readArchive } from './archive.js';
import type { RandomAccess } from './block-reader.js';

const limits = (): ArchiveLimits => ({ entries: 5000, budget: new InflationBudget(1e9) });

async function zipOf(entries: Record<string, Uint8Array>, compress = true): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, bytes] of Object.entries(entries)) zip.addBuffer(Buffer.from(bytes), name, { compress });
  zip.end();
  return buffer(zip.outputStream);
}

/** Bytes in memory that count how often they are asked for; after `failsAfter` reads the storage is gone. */
function accessTo(bytes: Buffer, failsAfter = Infinity): RandomAccess & { reads: number } {
  const access = {
    sizeBytes: bytes.length,
    reads: 0,
    read({ offset, length }: { offset: number; length: number }): Promise<Uint8Array> {
      access.reads++;
      return access.reads > failsAfter ? Promise.reject(new AppError('storage-unavailable')) : Promise.resolve(bytes.subarray(offset, offset + length));
    },
  };
  return access;
}

/** What each member is: the digest of its bytes, or the code of what is wrong with it; what ends the archive stands last. */
async function membersOf(access: RandomAccess): Promise<[string, string][]> {
  const members: [string, string][] = [];
  const codeOf = (error: unknown): string => (error instanceof AppError ? error.code : String(error));
  try {
    for await (const member of readArchive(access, limits())) {
      if ('refusal' in member) {
        members.push([member.name, member.refusal.code]);
        continue;
      }
      const chunks: Uint8Array[] = [];
      try {
        for await (const chunk of member.content) chunks.push(chunk);
        members.push([member.name, sha256Hex(Buffer.concat(chunks))]);
      } catch (error) {
        members.push([member.name, codeOf(error)]);
      }
    }
  } catch (error) {
    members.push(['', codeOf(error)]);
  }
  return members;
}

describe('readArchive', () => {
  const files = { 'a/one.dcm': randomBytes(700_000), 'a/two.dcm': Buffer.alloc(900_000, 'abc'), 'empty.dcm': Buffer.alloc(0), 'three.dcm': randomBytes(10) };

  it.each([true, false])('gives every file as it was packed (compressed: %s)', async (compress) => {
    expect(await membersOf(accessTo(await zipOf(files, compress)))).toEqual(Object.entries(files).map(([name, bytes]) => [name, sha256Hex(bytes)]));
  });

  it('reads hundreds of small files in few reads', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`study/${String(n)}.dcm`, randomBytes(3000)]));
    const zip = await zipOf(many);
    const access = accessTo(zip);
    expect(await membersOf(access)).toHaveLength(500);
    expect(access.reads).toBeLessThanOrEqual(Math.ceil(zip.length / (256 * 1024)) + 4);
    const cut = accessTo(zip.subarray(0, zip.length - 22));
    expect(await membersOf(cut)).toHaveLength(501);
    expect(cut.reads).toBeLessThanOrEqual(Math.ceil(zip.length / (256 * 1024)) + 4);
  });

  it.each([true, false])('gives what stands before a break, and says that it is not all (compressed: %s)', async (compress) => {
    const zip = await zipOf(files, compress);
    const members = await membersOf(accessTo(zip.subarray(0, Math.min(800_000, zip.length - 100))));
    expect(members[0]).toEqual(['a/one.dcm', sha256Hex(files['a/one.dcm'])]);
    expect(members.at(-1)).toEqual(['', 'invalid-archive']);
    expect(await membersOf(accessTo(Buffer.alloc(0)))).toEqual([['', 'invalid-archive']]);
    expect(await membersOf(accessTo(Buffer.from('PK')))).toEqual([['', 'invalid-archive']]);
  });

  it('says so when the storage fails in the middle, and takes it for no fault of the archive', async () => {
    for (const zip of [await zipOf(files), await zipOf(files, false), (await zipOf(files, false)).subarray(0, 1_500_000)]) {
      const whole = accessTo(zip);
      await membersOf(whole);
      for (let reads = 0; reads < whole.reads; reads++) {
        const codes = (await membersOf(accessTo(zip, reads))).map(([, what]) => what);
        expect(codes, `after ${String(reads)} reads`).toContain('storage-unavailable');
      }
    }
  });

  it('goes on with the next file when one was not read', async () => {
    const names: string[] = [];
    for await (const member of readArchive(accessTo(await zipOf(files)), limits())) {
      names.push(member.name);
      if ('content' in member && member.name === 'a/two.dcm') for await (const chunk of member.content) if (chunk.length > 0) break;
    }
    expect(names).toEqual(Object.keys(files));
  });
});
