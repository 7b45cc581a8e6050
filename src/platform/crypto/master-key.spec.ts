import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadMasterKey, MasterKey } from './master-key.js';

let dataDir: string;

beforeEach(() => { dataDir = mkdtempSync(join(tmpdir(), 'hv-master-key-')); });
afterEach(() => { rmSync(dataDir, { recursive: true, force: true }); });

const development = () => ({ MASTER_KEY: undefined, isProduction: false, dataDir });
const given = (byte: number) => ({ MASTER_KEY: Buffer.alloc(32, byte).toString('base64'), isProduction: true, dataDir });

describe('the master key', () => {
  it('is made once, readable by its owner only, and read again', () => {
    const first = loadMasterKey(development());
    expect(first).toHaveLength(32);
    expect(loadMasterKey(development())).toEqual(first);
    expect(statSync(join(dataDir, 'master.key')).mode & 0o777).toBe(0o600);
    expect(readdirSync(dataDir)).toEqual(['master.key']);
  });

  it('is never made up in production', () => {
    expect(() => loadMasterKey({ ...development(), isProduction: true })).toThrow(expect.objectContaining({ code: 'configuration-invalid' }));
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it('that was cut short is refused and left as it is', () => {
    writeFileSync(join(dataDir, 'master.key'), 'abc\n');
    expect(() => loadMasterKey(development())).toThrow(expect.objectContaining({ code: 'configuration-invalid' }));
    expect(readFileSync(join(dataDir, 'master.key'), 'utf8')).toBe('abc\n');
  });

  it('of the environment wins over the file and leaves none', () => {
    expect(loadMasterKey(given(7))).toEqual(Buffer.alloc(32, 7));
    expect(readdirSync(dataDir)).toEqual([]);
  });
});

describe('sealing', () => {
  it('gives back what was sealed and never the same bytes twice', () => {
    const key = new MasterKey(given(1));
    const sealed = key.seal(Buffer.from('secret'), 'a/1');
    expect(key.open(sealed, 'a/1').toString()).toBe('secret');
    expect(key.seal(Buffer.from('secret'), 'a/1')).not.toEqual(sealed);
    expect(key.open(key.seal(Buffer.alloc(0), 'a/1'), 'a/1')).toHaveLength(0);
  });

  it('binds to its context and to the key', () => {
    const sealed = new MasterKey(given(1)).seal(Buffer.from('secret'), 'a/1');
    expect(() => new MasterKey(given(1)).open(sealed, 'a/2')).toThrow(expect.objectContaining({ code: 'internal' }));
    expect(() => new MasterKey(given(2)).open(sealed, 'a/1')).toThrow(expect.objectContaining({ code: 'internal' }));
  });

  it('notices every changed byte and every cut', () => {
    const key = new MasterKey(given(1));
    const sealed = key.seal(Buffer.from('secret'), 'a/1');
    for (let index = 0; index < sealed.length; index++) {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => key.open(changed, 'a/1')).toThrow();
      expect(() => key.open(sealed.subarray(0, index), 'a/1')).toThrow();
    }
  });

  it('fingerprints differ by context and by key', () => {
    const key = new MasterKey(given(1));
    expect(key.fingerprint('x', 'a')).toEqual(key.fingerprint('x', 'a'));
    expect(key.fingerprint('x', 'a')).not.toEqual(key.fingerprint('x', 'b'));
    expect(key.fingerprint('x', 'a')).not.toEqual(new MasterKey(given(2)).fingerprint('x', 'a'));
  });
});
