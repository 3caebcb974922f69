// What is drawn on a page: the only way to see what a map shows.
import type { Page } from '@playwright/test'

/** The colours within a part of the page, one pixel after the other. */
export async function pixels(page: Page, clip: { x: number; y: number; width: number; height: number }): Promise<number[][]> {
  const seen = (await page.screenshot({ clip })).toString('base64')
  const all = await page.evaluate(async (base64) => {
    const picture = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]))
    const { width, height } = picture
    const pen = new OffscreenCanvas(width, height).getContext('2d')
    pen?.drawImage(picture, 0, 0)
    return [...(pen?.getImageData(0, 0, width, height).data ?? [])]
  }, seen)
  return Array.from({ length: all.length / 4 }, (_, at) => all.slice(4 * at, 4 * at + 3))
}
