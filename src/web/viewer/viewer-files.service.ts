import { Inject, Injectable } from '@nestjs/common';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { AppError } from '../../kernel/errors.js';
import { CONFIG, type Config } from '../../platform/config.js';
import { packagedFiles, viewerFolder, type PackagedFile } from './viewer-package.js';
import { ledToViewer, viewerPage, type ViewerPage } from './viewer-page.js';

const compress = promisify(gzip);

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.json': 'application/json', '.wasm': 'application/wasm', '.svg': 'image/svg+xml', '.png': 'image/png', '.ico': 'image/x-icon', '.xml': 'application/xml', '.woff2': 'font/woff2',
};
/** What gets smaller; pictures and fonts are compressed as they are. */
const COMPRESSIBLE = new Set(['.js', '.css', '.json', '.wasm', '.svg', '.xml']);
/** A file whose name changes with its content. */
const HASHED = /(?:^|\.)[0-9a-f]{16,}\./;

export interface ViewerFile {
  type: string;
  /** Changes with the file. */
  version: string;
  /** Its name changes with its content. */
  isImmutable: boolean;
  isScript: boolean;
}

/** The viewer's files as they are served. What is rewritten and compressed is so once, when it is first asked for, off the event loop. */
@Injectable()
export class ViewerFiles {
  private readonly folder: string | undefined;
  private readonly files: ReadonlyMap<string, PackagedFile>;
  private readonly compressed = new Map<string, Promise<Buffer>>();
  private index: Promise<ViewerPage> | undefined;

  constructor(@Inject(CONFIG) { OHIF_DIST }: Pick<Config, 'OHIF_DIST'>) {
    this.folder = viewerFolder(OHIF_DIST);
    this.files = this.folder === undefined ? new Map() : packagedFiles(this.folder);
  }

  get isInstalled(): boolean {
    return this.folder !== undefined;
  }

  /** undefined when the build has no such file. */
  find(name: string): ViewerFile | undefined {
    const file = this.files.get(name);
    if (!file) return undefined;
    const extension = extname(name);
    return { type: TYPES[extension] ?? 'application/octet-stream', version: `${name}/${String(file.sizeBytes)}/${String(file.modifiedMs)}`, isImmutable: HASHED.test(name), isScript: extension === '.js' };
  }

  /** @returns whether gzip was of use */
  async read(name: string, acceptsGzip: boolean): Promise<{ bytes: Buffer; isGzip: boolean }> {
    const file = this.files.get(name);
    if (!file) throw new AppError('not-found');
    const extension = extname(name);
    if (!acceptsGzip || !COMPRESSIBLE.has(extension)) return { bytes: ledToViewer(await readFile(file.path), extension), isGzip: false };
    const known = this.compressed.get(name) ?? once(this.compressed, name, async () => compress(ledToViewer(await readFile(file.path), extension)));
    return { bytes: await known, isGzip: true };
  }

  /** @throws AppError `viewer-not-installed` */
  async page(): Promise<ViewerPage> {
    if (this.folder === undefined) throw new AppError('viewer-not-installed', { detail: 'Install npm @ohif/app, or name its folder dist in OHIF_DIST.' });
    this.index ??= readFile(join(this.folder, 'index.html'), 'utf8').then(viewerPage);
    return this.index;
  }
}

/** Remembers what is being made, and forgets what failed. */
function once<T>(cache: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
  const made = make();
  cache.set(name, made);
  made.catch(() => { cache.delete(name); });
  return made;
}
