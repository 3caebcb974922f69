// A truck that is parked and reports each hour: it was heard of all night. What leads from there: to its messages, and to whoever gets a
// link. And what is written of its sensors by whoever reads gallons.
import { expect, test, type Page } from '@playwright/test'
import { isAccessible, watch } from './people'
import { backlog, PASSWORD, serve, type Served } from './server'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
let served: Served
/** When it was parked. */
let parked = 0

test.beforeAll(async () => {
  served = await serve()
  parked = Math.floor(Date.now() / MINUTE) * MINUTE - 8 * HOUR
  const drive = Array.from({ length: 30 }, (_, minute) => ({ time: parked - (30 - minute) * MINUTE, minute }))
  const night = Array.from({ length: 9 }, (_, hour) => ({ time: parked + hour * HOUR, minute: 50 }))
  await backlog(0, [...drive, ...night], { address: served.addresses.wialon ?? '', name: 'lorry' })
})
test.afterAll(() => served.stop())

/** Half an hour behind a record, and half an hour before the next one. */
const night = () => parked + 3.5 * HOUR
async function open(page: Page, tab = ''): Promise<void> {
  const site = `http://${served.addresses.http}`
  expect((await page.request.get(site)).ok(), 'the server has the pages').toBe(true)
  await page.request.post(`${site}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  const day = new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin', year: 'numeric', month: '2-digit', day: '2-digit' })
  const period = `from=${day.format(parked - 24 * HOUR)}&to=${day.format(Date.now())}`
  await page.goto(`${site}/devices/lorry${tab}?${period}&p=temperature.1&t=${new Date(night()).toISOString()}`)
}
const asked = (page: Page) => new URL(page.url()).searchParams
const cursor = (page: Page) => page.getByRole('slider', { name: 'Time cursor' })

test('a truck that reports each hour stands all night, and its values go on', async ({ page }) => {
  const complaints = watch(page)
  await open(page)
  await expect(page.locator('.reading[title="temperature.1"] b')).toHaveText(/^\u2212\d+\.\d$/)
  await expect(page.locator('footer .held')).toHaveText(/stop, .*, 8 h/)
  // Before its first record nothing was heard of it, and never since.
  await expect(page.locator('.strip rect.gap')).toHaveCount(1)
  expect(complaints).toEqual([])
})

test('a row of the table leads to its message, and messages are those at the time cursor until somebody says another time', async ({ page }) => {
  const complaints = watch(page)
  await open(page, '/table')
  const messages = page.getByRole('listbox', { name: 'Messages' }).getByRole('option')
  await page.getByRole('link', { name: 'message', exact: true }).click()
  // It sent that much later than it recorded it.
  await expect(messages.first()).toBeVisible()
  expect(Date.parse(asked(page).get('until') ?? '')).toBeGreaterThan(night())

  await open(page, '/raw')
  await expect(page.getByText('Nothing was received or sent within this time.')).toBeVisible()
  const until = page.getByRole('button', { name: /^Until / })
  await expect(until).not.toContainText('now')
  await until.click()
  const field = page.getByLabel('Until', { exact: true })
  await expect(field).toBeFocused()
  await expect(field).toHaveValue(/^\d{4}-\d\d-\d\dT\d\d:\d\d/)
  await isAccessible(page)
  await field.fill('')
  await expect(messages.first()).toBeVisible()
  await page.keyboard.press('Enter')
  await expect(until).toBeFocused()
  await expect(until).toContainText('now')
  await expect.poll(() => asked(page).get('until')).toBe('now')
  expect(complaints).toEqual([])
})

test('a link that was copied shows the same where days begin at another time', async ({ page, context, browser }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await open(page)
  await expect(cursor(page)).toHaveAttribute('aria-valuenow', String(night()))
  await page.getByRole('button', { name: 'Copy Link' }).click()
  await expect(page.getByText('Copied')).toBeVisible()
  const link = await page.evaluate(() => navigator.clipboard.readText())
  const [from, to] = await Promise.all(['aria-valuemin', 'aria-valuemax'].map((name) => cursor(page).getAttribute(name)))
  expect(['from', 'to', 'band'].map((name) => new URL(link).searchParams.get(name))).toEqual([from, to, '2'])

  const elsewhere = await browser.newContext({ timezoneId: 'Asia/Kathmandu' })
  const theirs = await elsewhere.newPage()
  await theirs.request.post(`${new URL(link).origin}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  await theirs.goto(link)
  await expect(cursor(theirs)).toHaveAttribute('aria-valuenow', String(night()))
  await expect(cursor(theirs)).toHaveAttribute('aria-valuemin', from ?? '')
  await expect(cursor(theirs)).toHaveAttribute('aria-valuemax', to ?? '')
  await elsewhere.close()
})

test('a calibration table is written in the unit that is kept, also by whoever reads gallons', async ({ page }) => {
  await page.addInitScript(() => localStorage.setItem('odograph.settings', JSON.stringify({ units: 'imperial' })))
  await open(page)
  const device = `http://${served.addresses.http}`
  await page.request.put(`${device}/api/v1/devices/lorry/sensors/tank`, { data: { unit: 'l', calibration: { parameter: 'position.altitude', points: [[0, 0], [500, 250]] } } })
  await page.goto(`${device}/devices/lorry/settings?sensor=tank`)
  await expect(page.getByRole('columnheader', { name: 'Sensor shows, l', exact: true })).toBeVisible()
  await expect(page.getByText('Write what the sensor shows in l: it is kept so. Pages show it to you in gal.')).toBeVisible()
  // It is 400 m high.
  await expect(page.getByRole('status').filter({ hasText: 'Now 200.0 l (52.8 gal)' })).toBeVisible()
  await isAccessible(page)
})
