import { createHash } from 'node:crypto';
import { WITHOUT_COMPILER } from './array-views.js';

/** Where the viewer is served; OHIF's build takes the root for granted. */
export const VIEWER_PATH = '/viewer/';

const INLINE_SCRIPT = /<script>([\s\S]*?)<\/script>/g;
/** Unregisters what old versions left behind and would load a service worker from elsewhere. */
const SERVICE_WORKER = /<script\b[^>]*\bsrc="[^"]*init-service-worker\.js"[^>]*><\/script>/g;
/** Icons, splash screens and the manifest of an app of its own. */
const APP_LINKS = /<link\b[^>]*\brel="(?:manifest|apple-touch-[a-z-]+|yandex-tableau-widget|icon|shortcut icon)"[^>]*>/g;
const APP_NAMES = /<meta\b[^>]*\bname="(?:msapplication-[A-Za-z]+|apple-mobile-[a-z-]+|mobile-web-app-capable)"[^>]*>/g;

/** OHIF's page and what may run on it. */
export interface ViewerPage {
  html: string;
  /** Content-Security-Policy. */
  policy: string;
}

/** The page of OHIF's build, led from the root to `VIEWER_PATH`; its inline scripts are allowed by their digests. */
export function viewerPage(index: string): ViewerPage {
  const html = index
    .replace(SERVICE_WORKER, '').replace(APP_LINKS, '').replace(APP_NAMES, '')
    .replace(/\b(href|src)="\/(?!\/)/g, `$1="${VIEWER_PATH}`)
    .replace(/window\.PUBLIC_URL = '\/'/g, `window.PUBLIC_URL = '${VIEWER_PATH}'`)
    .replace(/<title>[^<]*<\/title>/, '<title>HealthVision</title><link rel="icon" href="/assets/icon.svg" type="image/svg+xml">');
  const digests = [...html.matchAll(INLINE_SCRIPT)].map(([, script = '']) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`);
  return { html, policy: policyOf(digests) };
}

/**
 * For scripts of the viewer, which counts where one runs as a worker. Decoders of compressed images (Emscripten's embind) make
 * functions out of text there, in a worker that sees no page.
 */
export const WORKER_POLICY = policyOf(["'unsafe-eval'"]);

/**
 * As strict as OHIF takes it: scripts from here, and those inline ones that were in the page when it was packed. WebAssembly decodes
 * and renders; styles come with components, so they are inline; nothing is loaded from, or sent to, another host.
 */
function policyOf(scripts: readonly string[]): string {
  return [
    "default-src 'none'", ["script-src 'self' 'wasm-unsafe-eval'", ...scripts].join(' '), "worker-src 'self' blob:", "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self' data:",
    "connect-src 'self' data: blob:", "media-src 'self' blob:", "object-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
  ].join('; ');
}

const PUBLIC_PATH = '__webpack_require__.p = "/";';
/** Cornerstone takes the distance between rows for that between columns and the other way round: marks on pixels that are no squares would lie elsewhere. */
const SPACINGS = 'let { columnPixelSpacing, rowPixelSpacing } = imagePlaneModule;';
/** Where a packed library looks for its own script when the browser does not say; Node.js has such a name, browsers have none, and the viewer stays empty. */
const OWN_SCRIPT = '(e=e||__filename)';
/** A viewport is told which report it shows once its images may be drawn already; without being drawn again it shows no mark until a reader moves something. */
const REPORT_SHOWN = 'state.trackingIdentifiersByViewportId[viewport.id] = {\n    trackingUniqueIdentifiers,\n    activeIndex\n  };';
/** By extension, what is put in the place of what. */
export const CHANGES: Readonly<Record<string, readonly (readonly [from: string, to: string])[]>> = {
  // Webpack's public path is in the application and in each of its workers.
  '.js': [[PUBLIC_PATH, PUBLIC_PATH.replace('"/"', `"${VIEWER_PATH}"`)], WITHOUT_COMPILER, [SPACINGS, 'let { columnPixelSpacing: rowPixelSpacing, rowPixelSpacing: columnPixelSpacing } = imagePlaneModule;'], [OWN_SCRIPT, '(e=e||"")'], [REPORT_SHOWN, `${REPORT_SHOWN}\n  viewport.render();`]],
  '.css': [['url(/', `url(${VIEWER_PATH}`]],
};

/** A file of OHIF's build, led from the root to `VIEWER_PATH` and put right where it would fail. Bytes that need no change are given back as they are. */
export function ledToViewer(bytes: Buffer, extension: string): Buffer {
  return (CHANGES[extension] ?? []).reduce((led, [from, to]) => replaced(led, from, to), bytes);
}

function replaced(bytes: Buffer, from: string, to: string): Buffer {
  const parts: Buffer[] = [];
  let start = 0;
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, start)) {
    parts.push(bytes.subarray(start, at), Buffer.from(to));
    start = at + from.length;
  }
  return start === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(start)]);
}
