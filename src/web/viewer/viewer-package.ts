import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';

/** A file of the viewer's build as it lies on disk. */
export interface PackagedFile {
  /** Below `dist`, with slashes. */
  name: string;
  path: string;
  sizeBytes: number;
  modifiedMs: number;
}

/**
 * What a browser never needs of the build: answers of ours, what serves it elsewhere, maps of its sources, icons of its own, and an
 * ONNX Runtime of 140 MB for models that it would fetch from other hosts.
 */
const LEFT_OUT = /^(_headers|_redirects|serve\.json|app-config\.js|index\.html|google\.js|silent-refresh\.html|sw\.js|init-service-worker\.js|manifest\.json|oidc-client\.min\.js)$|^ort\/|\.map$/;

/** The folder `dist` of npm `@ohif/app`: the one that the configuration names, else the installed package's; undefined when there is none. */
export function viewerFolder(configured: string | undefined): string | undefined {
  const folder = configured ?? installedFolder();
  return folder !== undefined && existsSync(join(folder, 'index.html')) ? folder : undefined;
}

/** Every file that is served, by its name: whatever else a path asks for does not exist. */
export function packagedFiles(folder: string): ReadonlyMap<string, PackagedFile> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(names.flatMap((path) => {
    const name = relative(folder, path).split(sep).join('/');
    if (LEFT_OUT.test(name)) return [];
    const { size: sizeBytes, mtimeMs: modifiedMs } = statSync(path);
    return [[name, { name, path, sizeBytes, modifiedMs }] as const];
  }));
}

function installedFolder(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('@ohif/app/package.json')), 'dist');
  } catch {
    // An installation may leave the viewer out.
    return undefined;
  }
}
