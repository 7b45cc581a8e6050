import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Language } from '../../kernel/errors.js';
import { html, json, type Html } from '../pages/html.js';

/** Only what we serve runs and is loaded. Some of its parts bring styles of their own. */
export const BOARD_POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'";

/** Of its scripts, one of which runs beside the page and loads others. */
export const BOARD_SCRIPT_POLICY = "default-src 'none'; script-src 'self'";

/** Where npm put the files of the board's page. */
export function boardFolder(): string {
  const ofBoard = createRequire(createRequire(import.meta.url).resolve('@bull-board/api'));
  return dirname(ofBoard.resolve('@bull-board/ui/package.json'));
}

/** Its own page asks a server of others for letters, so this is ours with its scripts and styles. */
export class BoardPage {
  private readonly scripts: readonly string[];
  private readonly styles: readonly string[];

  constructor(folder: string) {
    const own = readFileSync(join(folder, 'dist', 'index.ejs'), 'utf8');
    this.scripts = [...own.matchAll(/src="(static\/js\/[\w.-]+\.js)"/g)].map(([, path = '']) => path);
    this.styles = [...own.matchAll(/href="(static\/css\/[\w.-]+\.css)"/g)].map(([, path = '']) => path);
  }

  html(base: string, config: object, language: Language): string {
    return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<base href="${base}">
<title>HealthVision</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
${this.styles.map((path): Html => html`<link rel="stylesheet" href="${path}">`)}
<script type="module" src="/assets/queue-board.mjs"></script>
</head>
<body>
<script id="__UI_CONFIG__" type="application/json">${json({ ...config, locale: { lng: language === 'zh-CN' ? 'zh-CN' : 'en-GB' } })}</script>
<div id="root"></div>
${this.scripts.map((path): Html => html`<script defer src="${path}"></script>`)}
</body>
</html>
`.text;
  }
}
