import { existsSync, readFileSync } from 'node:fs';
import { join, posix, resolve } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../../support/product.js';

export const DOCKER = join(ROOT, 'docker');

export interface Service {
  image: string;
  build?: { context: string; dockerfile: string; target: string };
  user?: string;
  profiles?: string[];
  restart?: string;
  read_only?: boolean;
  cap_drop?: string[];
  cap_add?: string[];
  security_opt?: string[];
  entrypoint?: string[];
  command?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  tmpfs?: string[];
  networks?: string[];
  network_mode?: string;
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { disable?: boolean; test?: string[] };
  logging?: { options: Record<string, string> };
  deploy?: { resources: { limits: { memory: string } } };
}

export interface Compose {
  name: string;
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean } | null>;
  volumes: Record<string, unknown>;
}

export interface Mount {
  /** A path on this machine, or the name of a volume. */
  source: string;
  isVolume: boolean;
  target: string;
  readOnly: boolean;
}

export function readYaml(path: string): unknown {
  return parse(readFileSync(path, 'utf8'), { merge: true });
}

/** The file as Compose sees it when nothing is set: `${NAME:-default}` is the default, `$$` a dollar. */
export function readCompose(): Compose {
  return interpolated(readYaml(join(DOCKER, 'compose.yaml'))) as Compose; // checked against the specification's schema
}

/** Names that may be set beside the file. */
export function settingsOfCompose(): string[] {
  return [...new Set([...readFileSync(join(DOCKER, 'compose.yaml'), 'utf8').matchAll(/(?<!\$)\$\{(\w+)/g)].map(([, name = '']) => name))].sort();
}

function interpolated(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll(/\$\$|\$\{\w+(?::-([^}]*))?\}/g, (found, otherwise: string | undefined) => (found === '$$' ? '$' : (otherwise ?? '')));
  if (Array.isArray(value)) return value.map(interpolated);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, interpolated(inner)]));
}

export function mountsOf({ volumes = [] }: Service): Mount[] {
  return volumes.map((text) => {
    const [source = '', target = '', mode] = text.split(':');
    const isVolume = !/^[./]/.test(source);
    return { source: isVolume ? source : resolve(DOCKER, source), isVolume, target, readOnly: mode === 'ro' };
  });
}

/** What lies at a path inside a container: the longest mount wins. undefined when nothing is mounted there. */
export function mountedAt(service: Service, path: string): (Mount & { inside: string }) | undefined {
  const found = mountsOf(service).filter(({ target }) => path === target || path.startsWith(`${target}/`)).sort((a, b) => b.target.length - a.target.length)[0];
  return found && { ...found, inside: posix.relative(found.target, path) };
}

/** Whether a path inside a container is a file or folder of this checkout, or of what the first start makes in the volumes. */
export function isThere(service: Service, path: string, volumes: Readonly<Record<string, string>>): boolean {
  const mount = mountedAt(service, path);
  const folder = mount?.isVolume === true ? volumes[mount.source] : mount?.source;
  return mount !== undefined && folder !== undefined && existsSync(join(folder, mount.inside));
}
