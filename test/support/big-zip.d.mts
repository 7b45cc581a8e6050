import type { Readable } from 'node:stream';

export const BIG_ZIP_SIDE: number;
export function bigZip(count: number, makeInstance: (options: { seed: number; pixels: Uint16Array }) => Uint8Array): Readable;
export function sendZip(url: string, authorization: string, zip: Readable, fetchOptions?: RequestInit): Promise<Response>;
