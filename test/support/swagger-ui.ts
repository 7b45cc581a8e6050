import type { Locator, Page } from 'playwright-core';
import { eventually } from './product.js';

/** Unfolds an operation of Swagger UI, which draws of a long list only what is in view: the page is scrolled until it comes. */
export async function openOperation(page: Page, operationId: string): Promise<Locator> {
  const block = page.locator(`.opblock[id$="-${operationId}"]`);
  await page.locator('.opblock').first().waitFor();
  await page.evaluate('window.scrollTo(0, 0)');
  await eventually(`the operation ${operationId}`, async () => {
    if ((await block.count()) > 0) return true;
    // Not with the wheel: it would turn what lies under the mouse.
    await page.evaluate('window.scrollBy(0, 400)');
    return false;
  }, 60_000);
  await block.locator('.opblock-summary-control').click();
  await block.locator('button.execute').waitFor();
  return block;
}
