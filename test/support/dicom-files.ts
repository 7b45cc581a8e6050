import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DicomJson } from '../../src/imaging/dicom/dicom-json.js';
import { newDicomUid } from '../../src/kernel/uid.js';

export interface Identity {
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
}

export interface MadeFile extends Identity {
  bytes: Uint8Array;
}

/** True, or false with a loud line, when dcmtk is not installed. */
export function dcmtkIsInstalled(): boolean {
  const there = ['dump2dcm', 'img2dcm', 'dcmdump', 'storescu', 'echoscu'].every((tool) => spawnSync(tool, ['--version']).status === 0);
  if (!there) console.warn('SKIPPED: dcmtk is not installed (Debian: apt-get install dcmtk); nothing is tested with files of another maker');
  return there;
}

export function newIdentity(fixed: Partial<Identity> = {}): Identity {
  return { studyInstanceUid: newDicomUid(), seriesInstanceUid: newDicomUid(), sopInstanceUid: newDicomUid(), ...fixed };
}

export interface DumpOptions {
  /** Elements by `gggg,eeee`: VR and value as dcmtk's dumps write it, without the brackets. `null` leaves an element out. */
  elements?: Record<string, readonly [vr: string, value: string | Buffer] | null>;
  /** Rows and columns of an image with 16 bits a pixel; 0 for none. Default: 32. */
  side?: number;
  /** How dump2dcm writes: `+te` explicit little endian (default), `+ti` implicit, `+tb` big endian, `+td` deflated. */
  writes?: '+te' | '+ti' | '+tb' | '+td';
  /** Of every pixel. */
  fill?: number;
}

/** A CT image written by dcmtk's dump2dcm. */
export function ctFile(fixed: Partial<Identity> = {}, { elements = {}, side = 32, writes = '+te', fill = 7 }: DumpOptions = {}): MadeFile {
  const identity = newIdentity(fixed);
  return {
    ...identity,
    bytes: inFolder((folder) => {
      const all: DumpOptions['elements'] = {
        '0008,0016': ['UI', '1.2.840.10008.5.1.4.1.1.2'], '0008,0018': ['UI', identity.sopInstanceUid], '0008,0020': ['DA', '20260102'], '0008,0030': ['TM', '101500'],
        '0008,0050': ['SH', 'A-1'], '0008,0060': ['CS', 'CT'], '0008,0090': ['PN', 'Referrer^Rita'], '0010,0010': ['PN', 'Test^Patient'], '0010,0020': ['LO', 'P-1'],
        '0010,0030': ['DA', '19700101'], '0010,0040': ['CS', 'F'], '0020,000d': ['UI', identity.studyInstanceUid], '0020,000e': ['UI', identity.seriesInstanceUid],
        '0020,0010': ['SH', '1'], '0020,0011': ['IS', '1'], '0020,0013': ['IS', '1'],
        ...(side > 0 && {
          '0028,0002': ['US', '1'], '0028,0004': ['CS', 'MONOCHROME2'], '0028,0010': ['US', String(side)], '0028,0011': ['US', String(side)],
          '0028,0100': ['US', '16'], '0028,0101': ['US', '12'], '0028,0102': ['US', '11'], '0028,0103': ['US', '0'],
        }),
        ...elements,
      };
      const lines = Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([tag, element]) => (element === null ? [] : [dumpLine(tag, element)]));
      if (side > 0) {
        const pixels = join(folder, 'pixels.raw');
        writeFileSync(pixels, new Uint8Array(new Uint16Array(side * side).fill(fill).buffer));
        lines.push(Buffer.from(`(7fe0,0010) OW =${pixels}\n`));
      }
      writeFileSync(join(folder, 'dump'), Buffer.concat(lines));
      return made(folder, 'dump2dcm', ['-q', '+F', writes, '+l', '65536', join(folder, 'dump')]);
    }),
  };
}

/** A secondary capture around a JPEG, written by dcmtk's img2dcm; its pixels stay compressed. */
export function captureFile(jpeg: Uint8Array, fixed: Partial<Identity> = {}): MadeFile {
  const identity = newIdentity(fixed);
  return {
    ...identity,
    bytes: inFolder((folder) => {
      writeFileSync(join(folder, 'picture.jpg'), jpeg);
      const keys = [`StudyInstanceUID=${identity.studyInstanceUid}`, `SeriesInstanceUID=${identity.seriesInstanceUid}`, `SOPInstanceUID=${identity.sopInstanceUid}`, 'PatientID=P-2', 'PatientName=Capture^Carla'];
      return made(folder, 'img2dcm', ['-q', ...keys.flatMap((key) => ['-k', key]), join(folder, 'picture.jpg')]);
    }),
  };
}

/** The same bytes with one piece of text exchanged for another of the same length, wherever it stands. */
export function exchanged(bytes: Uint8Array, from: string, to: string): Uint8Array {
  if (from.length !== to.length) throw new Error('lengths differ');
  const out = Buffer.from(bytes);
  for (let at = out.indexOf(from, 0, 'latin1'); at >= 0; at = out.indexOf(from, at + from.length, 'latin1')) out.write(to, at, 'latin1');
  return new Uint8Array(out);
}

/** The first value of an attribute that holds text; empty when there is none. */
export function textOf(item: DicomJson | undefined, tag: string): string {
  const value = item?.[tag]?.Value?.[0];
  return typeof value === 'string' ? value : '';
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export interface RelatedPart {
  /** Default: application/dicom. */
  type?: string;
  bytes: Uint8Array;
  /** Content-Location. */
  location?: string;
}

/** A multipart/related body; a part of bytes alone is application/dicom. */
export function relatedBody(parts: readonly (Uint8Array | RelatedPart)[], boundary = 'boundary-of-tests'): Uint8Array {
  const pieces = parts.flatMap((part) => {
    const { type, bytes, location }: RelatedPart = part instanceof Uint8Array ? { bytes: part } : part;
    return [Buffer.from(`\r\n--${boundary}\r\nContent-Type: ${type ?? 'application/dicom'}\r\n${location === undefined ? '' : `Content-Location: ${location}\r\n`}\r\n`), bytes];
  });
  return new Uint8Array(Buffer.concat([...pieces, Buffer.from(`\r\n--${boundary}--\r\n`)]));
}

export const STOW_TYPE = 'multipart/related; type="application/dicom"; boundary="boundary-of-tests"';

/** The parts of a multipart/related answer. */
export async function relatedParts(response: Response): Promise<{ headers: Map<string, string>; bytes: Uint8Array }[]> {
  const boundary = /boundary="?([^";]+)/.exec(response.headers.get('content-type') ?? '')?.[1];
  if (boundary === undefined) throw new Error(`not multipart: ${response.headers.get('content-type') ?? ''}`);
  const body = Buffer.concat([Buffer.from('\r\n'), Buffer.from(await response.arrayBuffer())]);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const parts: { headers: Map<string, string>; bytes: Uint8Array }[] = [];
  for (let at = body.indexOf(delimiter); at >= 0; ) {
    const start = at + delimiter.length;
    if (body.subarray(start, start + 2).toString() === '--') return parts;
    const headersEnd = body.indexOf('\r\n\r\n', start);
    const next = body.indexOf(delimiter, headersEnd);
    if (headersEnd < 0 || next < 0) break;
    const lines = body.subarray(start, headersEnd).toString('latin1').split('\r\n').filter((line) => line.includes(':'));
    parts.push({ headers: new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).trim().toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])), bytes: new Uint8Array(body.subarray(headersEnd + 4, next)) });
    at = next;
  }
  throw new Error('the multipart answer has no end');
}

function dumpLine(tag: string, [vr, value]: readonly [string, string | Buffer]): Buffer {
  return Buffer.concat([Buffer.from(`(${tag}) ${vr} `), ...(['US', 'UL', 'SS', 'SL', 'FL', 'FD'].includes(vr) ? [Buffer.from(value)] : [Buffer.from('['), Buffer.from(value), Buffer.from(']')]), Buffer.from('\n')]);
}

function made(folder: string, tool: string, args: readonly string[]): Uint8Array {
  const path = join(folder, 'made.dcm');
  execFileSync(tool, [...args, path], { stdio: 'pipe' });
  return new Uint8Array(readFileSync(path));
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'healthvision-dcmtk-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
