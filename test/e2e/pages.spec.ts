import { generate } from 'otplib';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, eventually, ROOT, startProduct, type Product } from '../support/product.js';
import { openOperation } from '../support/swagger-ui.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
if (CHROMIUM === undefined) console.warn('SKIPPED: Chromium is not installed; the pages for coming in are not tested by mouse');
const SHOTS = join(ROOT, 'test-results', 'pages');
const PASSWORD = 'orbit pickle trumpet lagoon';
const NEW_PASSWORD = 'walnut harbour violin teapot';

describe.skipIf(CHROMIUM === undefined)('The pages for coming in', () => {
  let product: Product;
  let browser: Browser;
  const complaints: string[] = [];

  beforeAll(async () => {
    product = await startProduct({ env: { SETTLE_SECONDS: '3600', DOCS_PUBLIC: 'false' } });
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
    mkdirSync(SHOTS, { recursive: true });
  });

  afterAll(async () => {
    await browser.close();
    await product.stop();
  });

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<{ context: BrowserContext; page: Page }> {
    const context = await browser.newContext({ baseURL: product.url, viewport: { width: 1100, height: 850 }, locale: 'en-GB', ...options });
    const page = await context.newPage();
    // What the policy of a page forbids, and what its scripts trip over, is told on the console.
    page.on('console', (line) => { if (/Content Security Policy|Uncaught/.test(line.text())) complaints.push(line.text()); });
    page.on('pageerror', (error) => { complaints.push(error.message); });
    return { context, page };
  }

  const shot = (page: Page, name: string): Promise<unknown> => page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });

  async function signIn(page: Page, email: string, password: string): Promise<void> {
    await page.getByLabel('E-mail address').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }

  /** The link of the newest mail to an address that holds one of this kind; on the port that the product took. */
  function linkFor(email: string, kind: string): Promise<string> {
    const folder = join(product.dataDir, 'mail');
    return eventually(`a mail to ${email}`, () => {
      const mails = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.eml')).sort().reverse().map((name) => readFileSync(join(folder, name), 'utf8').replaceAll('=\n', '').replaceAll('=3D', '=')) : [];
      return Promise.resolve(mails.filter((mail) => mail.includes(email)).map((mail) => new RegExp(`/${kind}\\?token=[\\w-]+`).exec(mail)?.[0]).find((path) => path !== undefined));
    });
  }

  async function invite(email: string): Promise<string> {
    await product.json('/api/v1/users', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email, displayName: 'Dr. Grace Hopper', role: 'admin' }) });
    return linkFor(email, 'invitation');
  }

  it('lead whoever is not signed in to the sign-in, and on to where they wanted to go', async () => {
    const { context, page } = await open();
    await page.goto('/account');
    expect(new URL(page.url()).pathname).toBe('/login');
    await shot(page, 'login');
    await signIn(page, ADMIN.email, 'wrong');
    await page.getByRole('alert').getByText('is wrong, or the account is locked').waitFor();
    await shot(page, 'login-refused');
    await signIn(page, ADMIN.email, ADMIN.password);
    await page.getByRole('heading', { name: 'Your account' }).waitFor();
    await page.getByText(ADMIN.email).waitFor();
    const cookies = await context.cookies();
    expect(cookies.find(({ name }) => name === 'hv_session')).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
    expect(await page.evaluate('document.cookie')).not.toContain('hv_session');
    await page.getByRole('button', { name: 'Sign out', exact: true }).first().click();
    await page.getByText('You are signed out.').waitFor();
    await page.goto('/docs');
    expect(new URL(page.url()).pathname).toBe('/login');
    await signIn(page, ADMIN.email, ADMIN.password);
    await page.locator('.swagger-ui .info').waitFor();
    await context.close();
  });

  it('let Swagger UI call the API with the cookie, for changes too', async () => {
    const { context, page } = await open();
    await page.goto('/login?next=/docs');
    await signIn(page, ADMIN.email, ADMIN.password);
    const block = await openOperation(page, 'createApiKey');
    await block.locator('textarea.body-param__text').fill(JSON.stringify({ name: 'by a page', scopes: ['images:read'] }));
    await block.locator('button.execute').click();
    await block.locator('.live-responses-table .response-col_status', { hasText: '201' }).waitFor();
    await context.close();
  });

  it('work without JavaScript as far as the sign-in goes', async () => {
    const { context, page } = await open({ javaScriptEnabled: false });
    await page.goto('/login?next=/account');
    await signIn(page, ADMIN.email, 'wrong');
    await page.getByText('is wrong, or the account is locked').waitFor();
    expect(new URL(page.url()).search).toBe('?fault=refused&next=%2Faccount');
    await signIn(page, ADMIN.email, ADMIN.password);
    expect(new URL(page.url()).pathname).toBe('/account');
    await context.close();
  });

  it('take an invitation to a password, a second factor, and a sign-in with both', async () => {
    const email = 'grace@hospital.test';
    const { context, page } = await open();
    await page.goto(await invite(email));
    // The secret leaves the address bar.
    expect(page.url()).toBe(`${product.url}/invitation`);
    await page.getByLabel('New password', { exact: true }).fill('hopper');
    await page.getByLabel('New password, once more').fill('hopper');
    await page.getByRole('button', { name: 'Save the password' }).click();
    await page.getByText('It must have at least 12 characters.').waitFor();
    await shot(page, 'invitation-weak');
    await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('New password, once more').fill(`${PASSWORD}!`);
    await page.getByRole('button', { name: 'Save the password' }).click();
    await page.getByText('The two passwords are not the same.').waitFor();
    await page.getByLabel('New password, once more').fill(PASSWORD);
    await page.getByRole('button', { name: 'Save the password' }).click();
    await page.getByText('The password is saved.').waitFor();
    await page.goto('/login?next=/account');
    await signIn(page, email, PASSWORD);

    await page.getByRole('button', { name: 'Set it up' }).click();
    await page.locator('#confirm-code').waitFor();
    const secret = (await page.locator('#factor-key').textContent() ?? '').replaceAll(' ', '');
    await eventually('the picture to show', () => page.locator('#factor-picture').evaluate((image: { naturalWidth: number }) => image.naturalWidth > 20));
    await shot(page, 'second-factor');
    await page.locator('#confirm-code').fill(await generate({ secret }));
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByText('The second factor is in force.').waitFor();
    const codes = await page.locator('#recovery-codes li').allTextContents();
    expect(codes).toHaveLength(10);
    await shot(page, 'recovery-codes');

    const other = await open();
    await other.page.goto('/login?next=/account');
    await signIn(other.page, email, PASSWORD);
    await other.page.getByText('Enter a code of your authenticator app').waitFor();
    await shot(other.page, 'login-code');
    expect(await other.page.evaluate('document.activeElement.id')).toBe('otp');
    await other.page.keyboard.type(codes[0] ?? '');
    await other.page.keyboard.press('Enter');
    await other.page.getByRole('heading', { name: 'Your account' }).waitFor();
    await other.page.getByText('9 recovery codes are left').waitFor();

    // And one signs the other out.
    await page.reload();
    await page.getByRole('button', { name: /^Sign out: / }).waitFor();
    await shot(page, 'account');
    await page.getByRole('button', { name: /^Sign out: / }).click();
    await page.getByRole('button', { name: /^Sign out: / }).waitFor({ state: 'detached' });
    await other.page.reload();
    expect(new URL(other.page.url()).pathname).toBe('/login');
    await context.close();
    await other.context.close();
  });

  it('help whoever has forgotten the password, in Chinese and on a small dark screen', async () => {
    const email = 'li@hospital.test';
    const path = await invite(email);
    const plain = await open();
    await plain.page.goto(path);
    await plain.page.getByLabel('New password', { exact: true }).fill(PASSWORD);
    await plain.page.getByLabel('New password, once more').fill(PASSWORD);
    await plain.page.getByRole('button', { name: 'Save the password' }).click();
    await plain.page.getByText('The password is saved.').waitFor();
    await plain.context.close();

    const { context, page } = await open({ locale: 'zh-CN', viewport: { width: 390, height: 780 }, colorScheme: 'dark' });
    await page.goto('/login');
    expect(await page.evaluate('document.documentElement.lang')).toBe('zh-CN');
    await page.getByRole('link', { name: '忘记密码？' }).click();
    await page.getByLabel('电子邮件地址').fill(email);
    await page.getByRole('button', { name: '发送链接' }).click();
    await page.getByText('链接已发送').waitFor();
    const reset = await linkFor(email, 'password-reset');
    await page.goto(reset);
    await page.getByLabel('新密码', { exact: true }).fill('password1234');
    await page.getByLabel('再次输入新密码').fill('password1234');
    await page.getByRole('button', { name: '保存密码' }).click();
    await page.getByText('该密码在已泄露或常见密码列表中').waitFor();
    await shot(page, 'password-reset-zh');
    await page.getByLabel('新密码', { exact: true }).fill(NEW_PASSWORD);
    await page.getByLabel('再次输入新密码').fill(NEW_PASSWORD);
    await page.getByRole('button', { name: '保存密码' }).click();
    await page.getByText('密码已保存').waitFor();
    await page.goto(reset);
    await page.getByLabel('新密码', { exact: true }).fill(PASSWORD);
    await page.getByLabel('再次输入新密码').fill(PASSWORD);
    await page.getByRole('button', { name: '保存密码' }).click();
    await page.getByText('链接已使用').waitFor();
    await page.goto('/login?next=/account');
    await page.getByLabel('电子邮件地址').fill(email);
    await page.getByLabel('密码', { exact: true }).fill(NEW_PASSWORD);
    await page.getByRole('button', { name: '登录' }).click();
    await page.getByRole('heading', { name: '我的账户' }).waitFor();
    await shot(page, 'account-zh');
    await context.close();
  });

  it('go nowhere else, whatever a link asks for', async () => {
    for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example', 'javascript:alert(1)']) {
      const { context, page } = await open();
      await page.goto(`/login?next=${encodeURIComponent(next)}`);
      await signIn(page, ADMIN.email, ADMIN.password);
      await page.getByRole('heading', { name: 'Worklist' }).waitFor();
      expect(new URL(page.url()).origin).toBe(product.url);
      await context.close();
    }
  });

  it('run what we serve, and nothing that comes with a link', async () => {
    const { context, page } = await open();
    for (const path of ['/login?next="><script>document.title=1</script>', '/login?fault=<img src=x onerror=alert(1)>', '/invitation?token="><script>document.title=1</script>']) {
      const response = await page.goto(path);
      expect(response?.headers()['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
      expect(await page.title()).toContain('HealthVision');
      expect(await page.locator('script:not([src]):not([type="application/json"])').count()).toBe(0);
    }
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('name every field, and keep the keyboard’s way through', async () => {
    const { context, page } = await open();
    for (const path of ['/login', '/password-reset', '/password-reset?token=x', '/invitation?token=x']) {
      await page.goto(path);
      expect(await page.locator('h1').count()).toBe(1);
      const unnamed = await page.locator('input:not([type=hidden])').evaluateAll((inputs: { labels: { length: number } }[]) => inputs.filter(({ labels }) => labels.length === 0).length);
      expect(unnamed).toBe(0);
    }
    await page.goto('/login');
    // Behind the choice of a language.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.type(ADMIN.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type(ADMIN.password);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Worklist' }).waitFor();
    await context.close();
  });
});
