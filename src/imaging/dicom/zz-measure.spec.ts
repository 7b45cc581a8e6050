import { it } from 'vitest';
import { readFileSync } from 'node:fs';
import { dicomFile, type Element } from '../../../test/support/dicom-builder.js';
import { parseInstance } from './header.js';
import { storableJson } from '../../modules/images/storable-json.js';
const which = process.env['CASE'] ?? '';
function rep(s: Uint8Array, n: number): Uint8Array { return Buffer.alloc(s.length * n, s); }
const tail = (bytes: Uint8Array) => dicomFile([], { transform: (d) => Buffer.concat([d, bytes]) });
const sq = (tag: number[], body: Uint8Array) => Buffer.concat([Buffer.from([...tag, 0x53, 0x51, 0, 0, 255, 255, 255, 255]), body, Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])]);
function el(tag: number[], vr: string, value: Uint8Array): Buffer { const long = 'OBUTUCUNSQ'.match(/../g)?.includes(vr); const h = Buffer.alloc(long ? 12 : 8); h.set(tag); h.write(vr, 4, 'latin1'); if (long) h.writeUInt32LE(value.length, 8); else h.writeUInt16LE(value.length, 6); return Buffer.concat([h, value]); }
const many = (n: number, vr: string, value: Uint8Array) => Buffer.concat(Array.from({ length: n }, (_, i) => el([0x09 + 2 * (i >> 14 & 31), 0x20, i & 255, (i >> 8 & 63) + 0x10], vr, value)));
const item = (body: Uint8Array) => { const h = Buffer.from([0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0]); h.writeUInt32LE(body.length, 4); return Buffer.concat([h, body]); };
const A = (s: string, n: number) => rep(Buffer.from(s, 'latin1'), n);
const jp = el([0x08, 0, 0x05, 0], 'CS', Buffer.from('\\ISO 2022 IR 87 '));
const withJp = (bytes: Uint8Array) => dicomFile([[0x00080005, 'CS', 'ISO 2022 IR 6\\ISO 2022 IR 87'], [0x00080008, 'CS', 'X']], { transform: (d) => Buffer.concat([d, bytes]) });
const cases: Record<string, () => Uint8Array> = {
  warm: () => tail(many(1000, 'LO', Buffer.from('abcd'))),
  items900k: () => tail(sq([0x21, 0, 0x10, 0x10], rep(Buffer.from([0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0]), 900_000))),
  esc4M: () => tail(el([0x21, 0, 0x10, 0x10], 'UC', A('\x1b', 4 << 20))),
  esc64K: () => withJp(sq([0x21, 0, 0x10, 0x10], item(many(128, 'UC', A('\x1b', 65536))))),
  esc60Kparts: () => withJp(sq([0x21, 0, 0x10, 0x10], item(many(6000, 'LO', A('\x1b$B;3 ;3 \xe4a', 100))))),
  back8M: () => tail(el([0x21, 0, 0x10, 0x10], 'UC', A('\\', 8 << 20))),
  back64Kx128: () => tail(sq([0x21, 0, 0x10, 0x10], item(many(128, 'UC', A('a\\', 32768))))),
  pn: () => tail(sq([0x21, 0, 0x10, 0x10], item(many(200, 'PN', A('a=b=c\\', 10000))))),
  ut280: () => tail(Buffer.concat(Array.from({ length: 280 }, (_, i) => el([0x21, 0, i & 255, 0x10 + (i >> 8)], 'UT', A('abcdefgh', 131072))))),
  ut64Kx200: () => tail(sq([0x21, 0, 0x10, 0x10], item(many(200, 'UT', A('\x01bcdefgh', 8192))))),
  nul64Kx200: () => tail(sq([0x21, 0, 0x10, 0x10], item(many(200, 'UT', A('\0\0\0a', 16384))))),
  elements1600k: () => tail(many(1_600_000, 'LO', Buffer.from(''))),
  elements199k: () => tail(many(199_000, 'LO', Buffer.from('abcdefghijklmnop'))),
  items199k: () => tail(sq([0x21, 0, 0x10, 0x10], rep(item(el([0x08, 0, 0x50, 0x11], 'UI', Buffer.from('1.2.3.4.5.6.7.8.'))), 99_000))),
  nested199k: () => tail(sq([0x21, 0, 0x10, 0x10], item(many(199_000, 'LO', Buffer.from('\xe4b\xf6d', 'latin1'))))),
  unsq: () => tail(sq([0x21, 0, 0x10, 0x10], item(Buffer.concat(Array.from({ length: 199_000 }, () => el([0x08, 0, 0x40, 0x11], 'UN', Buffer.from('abcdefgh'))))))),
  bulk199k: () => tail(sq([0x21, 0, 0x10, 0x10], item(many(199_000, 'UT', A('x', 300))))),
  fragments: () => tail(Buffer.concat([Buffer.from([0xe0, 0x7f, 0x10, 0, 0x4f, 0x42, 0, 0, 255, 255, 255, 255]), rep(Buffer.from([0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0]), 500_000), Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])])),
};
const hwm = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;
const rss = () => process.memoryUsage().rss / 2 ** 20;
it('measures', () => {
  for (const name of which ? ['warm', which] : Object.keys(cases)) {
    const file = cases[name]!();
    const before = rss(), heap = process.memoryUsage().heapUsed, t0 = performance.now();
    let longest = 0, outcome = '', t = performance.now(), json = 0;
    let keep: unknown;
    const lap = () => { const now = performance.now(); longest = Math.max(longest, now - t); t = now; };
    try {
      const p = parseInstance(file.length); let s = p.next(); lap();
      while (!s.done) { const bytes = Buffer.from(file.subarray(s.value.offset, s.value.offset + s.value.length)); t = performance.now(); s = p.next(bytes); lap(); }
      keep = s.value; outcome = `ok bulk=${s.value.bulkData.length} keys=${Object.keys(s.value.attributes).length}`;
      const j = performance.now(); const text = storableJson(s.value.attributes); json = performance.now() - j; outcome += ` json=${(text.length / 2 ** 20).toFixed(1)}MiB`;
    } catch (e) { outcome += ' ' + String((e as { code?: string }).code) + ' ' + String((e as Error).message); }
    const parse = performance.now() - t0 - json;
    console.log(name.padEnd(16), `file=${(file.length / 2 ** 20).toFixed(1)}MiB`, `total=${parse.toFixed(0)}ms longest=${longest.toFixed(0)}ms json=${json.toFixed(0)}ms`, `heap+${((process.memoryUsage().heapUsed - heap) / 2 ** 20).toFixed(0)} rss ${before.toFixed(0)}->${rss().toFixed(0)} hwm ${hwm().toFixed(0)}`, outcome, keep ? '' : '');
  }
});
