// Which npm packages are in an image: one list for the image, its bill of materials, the audit and the licences.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Dependencies of the product that no image has, and why. */
export const LEFT_OUT = {
  prisma: 'it generates the client, which the build has done',
  '@medplum/fhirtypes': 'types, which are gone after the build',
};

/** In the place of what the viewer, a finished build for browsers, would have brought along: see `overrides` in package.json. */
const STAND_IN = 'noop-package';

/**
 * What `npm ci` puts on this machine for the dependencies of the product and theirs, without those that are left out. Optional peers
 * count only when somebody needs them otherwise: npm installs them beside the development dependencies.
 *
 * @param lock  package-lock.json, parsed
 * @param installed  folders that are there, such as `node_modules/pg`; packages for other platforms are not
 * @returns folders below the root, sorted
 */
export function shippedPackages(lock = lockOf(), installed = (path) => existsSync(join(ROOT, path))) {
  const { packages } = lock;
  const shipped = new Set();
  const wanted = Object.keys(packages[''].dependencies ?? {}).filter((name) => !(name in LEFT_OUT)).map((name) => ({ from: '', name }));
  for (let next = wanted.pop(); next !== undefined; next = wanted.pop()) {
    const path = resolvePackage(packages, next.from, next.name);
    if (path === undefined || !installed(path)) {
      if (next.optional || packages[path]?.optional) continue;
      throw new Error(`${next.name}, which ${next.from || 'the product'} needs, is not installed: run npm ci`);
    }
    if (shipped.has(path) || packages[path].name === STAND_IN) continue;
    shipped.add(path);
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = packages[path];
    for (const name of Object.keys({ ...dependencies, ...peerDependencies })) if (!peerDependenciesMeta[name]?.optional || name in dependencies) wanted.push({ from: path, name });
    for (const name of Object.keys(optionalDependencies)) wanted.push({ from: path, name, optional: true });
  }
  return [...shipped].sort();
}

/** Where Node.js finds a package: beside whoever asks, or beside one of the folders that it lies in. */
function resolvePackage(packages, from, name) {
  for (let place = from; ; place = place.slice(0, Math.max(0, place.lastIndexOf('node_modules/') - 1))) {
    const path = `${place === '' ? '' : `${place}/`}node_modules/${name}`;
    if (packages[path]) return path;
    if (place === '') return undefined;
  }
}

/** package.json and package-lock.json of an image: the product and what is shipped of its dependencies, as npm's own tools read it. */
export function writeManifests(folder, shipped = shippedPackages()) {
  const { name, version, description, license, type, engines, bin, dependencies, overrides: { '@ohif/app': _viewer, ...overrides } } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const root = { name, version, license, dependencies: Object.fromEntries(Object.entries(dependencies).filter(([dependency]) => !(dependency in LEFT_OUT))), engines, bin };
  const { packages, ...lock } = lockOf();
  const entries = shipped.map((path) => {
    const { dev: _dev, devOptional: _either, peer: _peer, ...entry } = packages[path];
    const isReal = ([dependency]) => packages[resolvePackage(packages, path, dependency)]?.name !== STAND_IN;
    return [path, entry.dependencies ? { ...entry, dependencies: Object.fromEntries(Object.entries(entry.dependencies).filter(isReal)) } : entry];
  });
  writeFileSync(join(folder, 'package.json'), json({ ...root, description, private: true, type, overrides }));
  writeFileSync(join(folder, 'package-lock.json'), json({ ...lock, packages: { '': root, ...Object.fromEntries(entries) } }));
}

function json(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function lockOf() {
  return JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
}
