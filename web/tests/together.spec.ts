// The fleet's list and its map are one: what is lifted in the one is lifted in the other, and many devices in one place are one sign.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, type Page } from '@playwright/test'
import { signIn, site, truck, watch } from './people'
import { pixels } from './pixels'
import { backlog, drive, PASSWORD, serve } from './server'

/** The map's accent in the light, which is drawn around the marker that is lifted and nowhere else. */
const ACCENT = [29, 87, 196]
const NEAR = 24
/** More than are shown one by one, however close together they are. */
const MANY = 310

const canvas = (page: Page) => page.locator('.maplibregl-canvas')

/** The middle of the map, with the pointer moved onto it from somewhere else. */
async function middle(page: Page): Promise<{ x: number; y: number }> {
  const box = await canvas(page).boundingBox()
  if (!box) throw new Error('the map has no place')
  const [x, y] = [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)]
  await page.mouse.move(x + 200, y)
  await page.mouse.move(x, y, { steps: 4 })
  return { x, y }
}

test('a marker lifts its row, a row lifts its marker, also by the keyboard, and a click on a marker opens its device', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  // It is alone there, and in the middle of the map.
  await drive(6, 10)
  await page.goto(`${site()}/?q=${truck(6)}&at=10.5100,49.6800,14.00`)
  const list = page.getByRole('listbox', { name: 'Devices' })
  const row = list.getByRole('option')
  await expect(row).toContainText('76 km/h')
  await expect(canvas(page)).toBeVisible()
  await expect(async () => {
    await middle(page)
    await expect(row.locator('.lifted')).toBeVisible({ timeout: 1000 })
  }).toPass()
  const { x, y } = await middle(page)
  const aside = () => page.mouse.move(x + 200, y, { steps: 4 })
  const isAccent = (colour: number[]) => ACCENT.every((value, at) => Math.abs(value - (colour[at] ?? 999)) < NEAR)
  /** How much is drawn of what lifts the marker. */
  const ring = async () => (await pixels(page, { x: x - 32, y: y - 32, width: 64, height: 64 })).filter(isAccent).length
  await aside()
  await expect(row.locator('.lifted')).toHaveCount(0)
  await expect.poll(ring).toBe(0)
  await row.hover()
  await expect(row.locator('.lifted')).toBeVisible()
  await expect.poll(ring).toBeGreaterThan(30)
  await aside()
  await expect.poll(ring).toBe(0)
  await list.focus()
  await page.keyboard.press('ArrowDown')
  await expect(row).toHaveAttribute('aria-selected', 'true')
  await expect.poll(ring).toBeGreaterThan(30)
  await middle(page)
  await page.mouse.click(x, y)
  await expect(page.getByRole('heading', { name: truck(6) })).toBeVisible()
  expect(complaints).toEqual([])
})

test('many devices in one place are one sign from afar, and a click on it goes there', async ({ page }) => {
  test.skip(Boolean(process.env.TEST_PREVIEW), 'another fleet is seen where the server has the pages itself')
  const served = await serve()
  try {
    const home = `http://${served.addresses.http}`
    const names = Array.from({ length: MANY }, (_, n) => `36100000000${String(n).padStart(4, '0')}`)
    const file = join(served.data, '..', 'fleet.csv')
    writeFileSync(file, ['imei;name', ...names.map((name, n) => `${name};Van ${n}`)].join('\n'))
    execFileSync(served.binary, ['device', 'import', file, '--apply', '--data', served.data])
    // Along some kilometres, a few at a time.
    for (let n = 0; n < MANY; n += 31) {
      const address = served.addresses.wialon ?? ''
      await Promise.all(names.slice(n, n + 31).map((name, at) => backlog(0, [{ time: Date.now(), minute: (n + at) % 25 }], { address, name })))
    }
    expect((await page.request.get(home)).ok(), 'the server has the pages').toBe(true)
    await page.request.post(`${home}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
    await page.goto(`${home}/?at=8.1293,47.5941,4.00`)
    await expect(page.getByText(`${MANY} devices`)).toBeVisible()
    await expect(async () => {
      await middle(page)
      await expect(canvas(page)).toHaveCSS('cursor', 'zoom-in', { timeout: 1000 })
    }).toPass()
    const { x, y } = await middle(page)
    await page.mouse.click(x, y)
    await expect.poll(() => Number(new URL(page.url()).searchParams.get('at')?.split(',')[2])).toBeGreaterThan(8)
  } finally {
    await served.stop()
  }
})
