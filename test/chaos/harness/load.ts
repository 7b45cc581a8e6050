import { setTimeout as wait } from 'node:timers/promises';
import { wrapImage } from '../../../src/imaging/dicom/wrap-image.js';
import { newDicomUid } from '../../../src/kernel/uid.js';
import { relatedBody, STOW_TYPE } from '../../support/dicom-files.js';
import { ADMIN, type Product } from '../../support/product.js';
import type { ChaosHouse } from './house.js';

const SIDE = 64;
const PATIENCE_MS = 30_000;
const AGAIN_MS = 500;
const GOOD: ReadonlySet<number> = new Set([200, 201]);

/** A client of the installation, as patient as a modality: it asks whichever api is there until it has an answer. */
export class Client {
  private readonly tokens = new Map<string, string>();

  constructor(private readonly house: ChaosHouse) {}

  /** @returns what the first api says that answers 200 or 201; undefined when `until` is over */
  async ask(path: string, init: RequestInit, until: number): Promise<Response | undefined> {
    while (Date.now() < until) {
      const api = this.house.api();
      const response = api && (await this.try(api, path, init).catch(() => undefined));
      // 202 to an upload says that something was not stored.
      if (response && GOOD.has(response.status)) return response;
      await wait(AGAIN_MS);
    }
    return undefined;
  }

  /** @throws Error when there is no good answer within two minutes */
  async json<T>(path: string, init: RequestInit = {}): Promise<T> {
    const response = await this.ask(path, init, Date.now() + 120_000);
    if (!response) throw new Error(`no answer to ${path}`);
    return (await response.json()) as T; // what the contract promises
  }

  private async try(api: Product, path: string, init: RequestInit): Promise<Response> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const token = this.tokens.get(api.url) ?? (await this.signIn(api, signal));
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${token}`);
    const response = await fetch(`${api.url}${path}`, { ...init, headers, signal });
    // Of a process whose clock jumped, or that is another one by now.
    if (response.status === 401) this.tokens.delete(api.url);
    // With its body: an answer that breaks off is none.
    return new Response(await response.arrayBuffer(), response);
  }

  private async signIn(api: Product, signal: AbortSignal): Promise<string> {
    const response = await fetch(`${api.url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: ADMIN.email, password: ADMIN.password }), signal });
    if (!response.ok) throw new Error(`no token: ${String(response.status)}`);
    const { access_token: token } = (await response.json()) as { access_token: string };
    this.tokens.set(api.url, token);
    return token;
  }
}

export interface Sent {
  /** Studies that were acknowledged: from here on the installation answers for them. */
  acknowledged: string[];
  /** Tries that had no good answer. */
  refused: number;
}

/** Sends studies evenly over the time, several at a time, each until it is acknowledged. */
export async function sendStudies(client: Client, studies: number, durationMs: number, sent: Sent, atATime = 4): Promise<void> {
  const began = Date.now();
  const until = began + durationMs;
  let next = 0;
  const modality = async (): Promise<void> => {
    for (let index = next++; index < studies; index = next++) {
      await wait(Math.max(0, began + (index / studies) * durationMs - Date.now()));
      const studyInstanceUid = newDicomUid();
      const body = new Uint8Array(relatedBody([radiograph(studyInstanceUid, index)]));
      // A minute beyond the end: what was begun is not given up because the end came.
      if (await client.ask('/dicom-web/studies', { method: 'POST', body, headers: { 'content-type': STOW_TYPE } }, until + 60_000)) sent.acknowledged.push(studyInstanceUid);
      else sent.refused++;
    }
  };
  await Promise.all(Array.from({ length: atATime }, modality));
}

/** A small chest X-ray, another for every seed. */
export function radiograph(studyInstanceUid: string, seed: number): Uint8Array {
  const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => 128 + 80 * Math.sin(i / (40 + (seed % 50))) + (i % 17));
  return wrapImage({ pixels, width: SIDE, height: SIDE, channels: 1, bits: 8 }, { modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA', patientId: `chaos-${String(seed)}`, studyInstanceUid, seriesInstanceUid: newDicomUid(), sopInstanceUid: newDicomUid() });
}
