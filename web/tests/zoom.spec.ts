// Pages that a browser shows at 200 %: on a screen of 1440 by 900 there is room for half of it then, and nothing may be out of reach.
import { expect, test, type Locator } from '@playwright/test'
import { signIn, site, truck, watch } from './people'
import { lately } from './stored'
import { isWithin } from './within'

test.use({ viewport: { width: 720, height: 450 }, deviceScaleFactor: 2 })

/** Whether people get at these: on the screen once it is scrolled, with nothing over them. */
async function isReachable(...those: Locator[]): Promise<void> {
  for (const one of those) await one.click({ trial: true, timeout: 20_000 })
}

test('at twice its size the fleet is whole: its list, its filters and its map', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(site())
  const rows = page.getByRole('listbox', { name: 'Devices' }).getByRole('option')
  await expect(rows.first()).toBeInViewport({ ratio: 0.98 })
  await expect(page.locator('.maplibregl-canvas')).toBeVisible()
  await isWithin(page, 'main .tools', 'main .states', 'main .line')
  const pages = page.getByRole('navigation', { name: 'Pages' }).getByRole('link')
  const states = page.getByRole('button', { name: /: show only these$/ })
  await expect(pages).toHaveCount(6)
  await expect(states).toHaveCount(4)
  await isReachable(...(await pages.all()), ...(await states.all()), page.getByLabel('Search devices'), page.getByLabel('Group'))
  await isReachable(page.getByLabel('On the map only'), page.getByLabel('Value in the list'), rows.first())
  await isReachable(...['Zoom in', 'Zoom out', 'Show all'].map((name) => page.getByRole('button', { name, exact: true })))
  expect(complaints).toEqual([])
})

test('at twice its size a day is whole: its period, its charts, its menus and its strip', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(1)}?${lately()}`)
  await expect(page.locator('.u-over').first()).toBeVisible()
  await isWithin(page)
  const parts = page.getByRole('navigation', { name: 'Parts of the device' }).getByRole('link')
  const periods = page.getByRole('group', { name: 'Length of the period' }).getByRole('button')
  await expect(parts).toHaveCount(5)
  await expect(periods).toHaveCount(3)
  await isReachable(...(await parts.all()), ...(await periods.all()), page.getByRole('slider', { name: 'Time cursor' }))
  await isReachable(...['Share…', 'The period before', 'Look nearer at the time cursor', 'Play'].map((name) => page.getByRole('button', { name })))
  await isReachable(page.locator('.u-over').last(), page.locator('summary', { hasText: 'Parameters' }))
  await page.locator('summary', { hasText: 'Export' }).click()
  await isReachable(page.getByRole('link', { name: 'CSV, a table' }), page.getByRole('link', { name: 'GeoJSON, the track' }))
  await isWithin(page)
  expect(complaints).toEqual([])
})

test('at twice its size administration is whole: its parts, its tables and its dialogs', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  for (const section of ['listeners', 'audit', 'users']) {
    await page.goto(`${site()}/admin/${section}`)
    await expect(page.getByRole('table').first()).toBeVisible()
    await isWithin(page, 'main .page')
  }
  const sections = page.getByRole('navigation', { name: 'Administration' }).getByRole('link')
  await expect(sections).toHaveCount(8)
  await isReachable(...(await sections.all()), page.getByRole('button', { name: 'admin', exact: true }))
  await page.getByRole('button', { name: 'New user' }).click()
  const dialog = page.getByRole('dialog', { name: 'New user' })
  await expect(dialog).toBeInViewport({ ratio: 0.98 })
  await isReachable(dialog.getByRole('button', { name: 'Close' }), dialog.getByLabel('Login'), dialog.getByLabel('Role'), dialog.getByRole('button', { name: 'Create' }))
  await page.keyboard.press('Escape')
  await expect(dialog).toHaveCount(0)
  expect(complaints).toEqual([])
})
