// Whether a page is cut off at its right: what lies there is out of a finger's reach, and hidden by what does not scroll.
import { expect, type Page } from '@playwright/test'

/** The page, what is in it, and its rows that do not scroll sideways. */
const ROWS = 'html, main, main header, main footer, main .bar, main .bar [role="group"], main .day, main [role="toolbar"]'

/** `more` are other parts that are not to be cut off, either. */
export async function isWithin(page: Page, ...more: string[]): Promise<void> {
  const cut = () => page.evaluate((rows) => [...document.querySelectorAll(rows)]
    // Half a pixel is rounded to one.
    .filter((one) => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1)
    .map((one) => `${one.localName} ${one.className}: ${one.scrollWidth} in ${one.clientWidth}`), [ROWS, ...more].join())
  await expect.poll(cut, { message: `${new URL(page.url()).pathname} is wider than the screen` }).toEqual([])
}
