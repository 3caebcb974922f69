// Who was not understood becomes a device. After the other pages: they count the fleet.
import { expect, test, type Locator, type Page } from '@playwright/test'
import { isAccessible, signIn, site, watch } from './people'
import { knock } from './server'
import { lately, records } from './stored'

/** The dialog in which whoever said this gets a name. */
async function named(page: Page, said: string): Promise<Locator> {
  await page.goto(`${site()}/unidentified`)
  const row = page.getByRole('row').filter({ hasText: said })
  await expect(async () => {
    await page.getByRole('button', { name: 'Look again' }).click()
    await expect(row).toBeVisible({ timeout: 1000 })
  }).toPass()
  await row.getByRole('button', { name: 'Name…' }).click()
  return page.getByRole('dialog')
}

const two = (value: number) => String(value).padStart(2, '0')

test('a connection that nobody understood becomes a device by the dialog', async ({ page }) => {
  const complaints = watch(page)
  const now = new Date()
  const [day, time] = [`${two(now.getUTCDate())}${two(now.getUTCMonth() + 1)}${two(now.getUTCFullYear() % 100)}`, `${two(now.getUTCHours())}${two(now.getUTCMinutes())}${two(now.getUTCSeconds())}`]
  // A modem that says hello for its tracker, which does not say who it is.
  await knock(`CONNECT 9600\r\n#SD#${day};${time};4830.0000;N;00959.0000;E;50;90;400;9\r\n`)
  await signIn(page)
  const dialog = await named(page, 'CONNECT 9600')
  await dialog.getByLabel('Protocol').selectOption('wialon')
  await dialog.getByLabel(/^Device/).fill('350000000009999')
  await dialog.getByRole('button', { name: 'Try' }).click()
  await expect(dialog.locator('.tried')).toBeVisible()
  await isAccessible(page)
  await dialog.getByRole('button', { name: 'Take it in as this' }).click()
  await expect(dialog.getByRole('status')).toHaveText('1 records in 2 messages, of: 350000000009999')
  await isAccessible(page)
  await dialog.getByRole('button', { name: 'Close' }).click()
  await expect(page.getByRole('row').filter({ hasText: 'CONNECT 9600' })).toContainText('Named wialon')
  await expect.poll(async () => (await records(page, '350000000009999')).length).toBe(1)
  await page.goto(`${site()}/devices/350000000009999?${lately()}`)
  await expect(page.getByRole('heading', { name: '350000000009999' })).toBeVisible()
  await expect(page.locator('header .state')).toContainText('50 km/h')
  await expect(page.locator('.u-over').first()).toBeVisible()
  expect(complaints).toEqual([])
})

test('two alarms of one moment are both on the strip', async ({ page }) => {
  const complaints = watch(page)
  const iso = new Date().toISOString()
  const [date, clock] = [`${iso.slice(2, 4)}${iso.slice(5, 7)}${iso.slice(8, 10)}${iso.slice(11, 13)}${iso.slice(14, 16)}`, iso.slice(11, 19).replaceAll(':', '')]
  const device = '863070010000017'
  const message = (what: string) => `imei:${device},${what},${date},,F,${clock}.000,A,4830.0000,N,00959.0000,E,10.00,90.0;`
  await knock(`##,imei:${device},A;${message('help me')}${message('door alarm')}`)
  await signIn(page)
  await expect.poll(async () => (await page.request.get(`${site()}/api/v1/devices/${device}`)).status()).toBe(200)
  await expect.poll(async () => (await records(page, device)).length).toBe(2)
  await page.goto(`${site()}/devices/${device}?${lately()}`)
  await expect(page.locator('.strip .alarm')).toHaveCount(2)
  expect(complaints).toEqual([])
})

test('text that is selected out of a dialog keeps it open, and a press beside it closes it', async ({ page }) => {
  await signIn(page)
  const dialog = await named(page, 'is anybody there')
  const field = dialog.getByLabel(/^Device/)
  await field.fill('350000000009998')
  const box = await field.boundingBox()
  if (!box) throw new Error('the field has no place')
  await page.mouse.move(box.x + 60, box.y + box.height / 2)
  await page.mouse.down()
  await page.mouse.move(5, 5, { steps: 5 })
  await page.mouse.up()
  await expect(field).toHaveValue('350000000009998')
  await expect(dialog).toBeVisible()
  await page.mouse.click(5, 5)
  await expect(dialog).toHaveCount(0)
})

test('where nothing has come yet, the ports are those that are open', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const made = await page.request.post(`${site()}/api/v1/tenants`, { data: { id: 'empty', name: 'Nobody yet' } })
  expect([201, 409]).toContain(made.status())
  await page.goto(`${site()}/admin/tenants`)
  const tenant = page.getByRole('row').filter({ hasText: 'Nobody yet' })
  await tenant.getByRole('button', { name: 'Enter' }).click()
  await expect(tenant).toContainText('Shown now')
  await page.getByRole('link', { name: 'Fleet' }).click()
  await expect(page.getByRole('heading', { name: 'No device has sent anything yet' })).toBeVisible()
  const port = (address = '') => address.split(':').at(-1) ?? ''
  await expect(page.locator('.address')).toContainText(port(process.env.AUTO))
  await expect(page.getByRole('row').filter({ hasText: 'Wialon IPS' })).toContainText(port(process.env.WIALON))
  await isAccessible(page)
  expect(complaints).toEqual([])
})
