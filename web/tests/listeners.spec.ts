// Listeners are made, changed, closed and removed while the server runs, by keyboard and by touch.
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect, test, type Page } from '@playwright/test'
import { isAccessible, watch } from './people'
import { backlog, open, PASSWORD, serve, type Served } from './server'
import { isWithin } from './within'

let served: Served
/** Where the configuration has a listener: what is made in the tests is listened to as well, and told likewise. */
let configured = ''
const site = () => `http://${served.addresses.http}`

test.beforeAll(async () => {
  served = await serve('[ingest]\ndefault_ports = false\n[[listener]]\nprotocol = "wialon"\nlisten = "127.0.0.1:0"\n', 'none')
  configured = served.addresses.wialon ?? ''
})
test.afterAll(() => served.stop())

async function signIn(page: Page): Promise<void> {
  const answer = await page.request.post(`${site()}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  expect(answer.status()).toBe(201)
}

/** An address that nobody has at this moment, and who may have it. */
async function holder() {
  const socket = createServer()
  await new Promise<void>((resolve) => socket.listen(0, '127.0.0.1', resolve))
  const { port } = socket.address() as AddressInfo
  return { address: `127.0.0.1:${port}`, leave: () => new Promise((resolve) => socket.close(resolve)) }
}

const row = (page: Page, address: string) => page.getByRole('region', { name: 'Listeners' }).getByRole('row').filter({ hasText: address })
const isOpen = (address: string) => open(address).then((socket) => socket.destroy() && true, () => false)

test('a listener is made, closed, opened, changed and removed by the keyboard', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const { address, leave } = await holder()
  await leave()
  await page.goto(`${site()}/admin/listeners`)
  await expect(page.getByText('Open besides')).toBeVisible()
  await isAccessible(page)
  await page.getByRole('button', { name: 'New listener' }).press('Enter')
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByRole('option', { name: 'wialon' })).toBeAttached()
  await dialog.getByLabel(/^Protocol/).first().selectOption('wialon')
  await dialog.getByLabel(/^Address/).fill(address)
  await dialog.getByLabel('Name').fill('Partner')
  await isAccessible(page)
  await dialog.getByLabel('Name').press('Enter')
  await expect(dialog).toHaveCount(0)
  const partner = row(page, address)
  await expect(partner.locator('.state')).toHaveText('open')
  await backlog(0, [{ time: Date.now(), minute: 1 }], { address, name: 'partner-1' })
  await isAccessible(page)

  await partner.getByRole('button', { name: 'Close port' }).press('Enter')
  await expect(partner.locator('.state')).toHaveText('closed')
  expect(await isOpen(address)).toBe(false)
  await partner.getByRole('button', { name: 'Open port' }).press('Enter')
  await expect(partner.locator('.state')).toHaveText('open')
  expect(await isOpen(address)).toBe(true)

  await partner.getByRole('button', { name: 'Partner' }).press('Enter')
  await dialog.getByText('Who may come').press('Enter')
  await dialog.getByLabel(/^Only from these/).fill('10.0.0.0')
  await dialog.getByRole('button', { name: 'Save' }).press('Enter')
  await expect(dialog).toHaveCount(0)
  await partner.getByRole('button', { name: 'Partner' }).click()
  await dialog.getByText('Who may come').click()
  await expect(dialog.getByLabel(/^Only from these/)).toHaveValue('10.0.0.0/32')
  await isAccessible(page)
  await dialog.getByLabel(/^Only from these/).fill('nowhere')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog.getByRole('alert')).toContainText('allow')
  await dialog.getByRole('button', { name: 'Remove…' }).click()
  const sure = page.getByRole('dialog', { name: 'Remove Partner?' })
  await isAccessible(page)
  await sure.getByRole('button', { name: 'Remove' }).press('Enter')
  await expect(partner).toHaveCount(0)
  expect(await isOpen(address)).toBe(false)
  expect(complaints.filter((what) => !what.includes('400'))).toEqual([])
})

test('an address that is taken is told, and a port that is becomes open when it is free', async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true })
  const page = await context.newPage()
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/admin/listeners`)
  const { address, leave } = await holder()
  const make = async (where: string) => {
    await page.getByRole('button', { name: 'New listener' }).tap()
    const dialog = page.getByRole('dialog')
    await expect(dialog.getByRole('option', { name: 'gt06' })).toBeAttached()
    await dialog.getByLabel(/^Protocol/).first().selectOption('gt06')
    await dialog.getByLabel(/^Address/).fill(where)
    await dialog.getByRole('button', { name: 'Make it' }).tap()
    return dialog
  }
  const dialog = await make(configured)
  await expect(dialog.getByRole('alert')).toContainText('is taken by the [[listener]] for wialon')
  await isAccessible(page)
  await dialog.getByRole('button', { name: 'Close' }).tap()
  await expect(await make(address)).toHaveCount(0)
  const made = row(page, address)
  await expect(made.locator('.state')).toContainText('not open')
  await expect(made.locator('.why')).toContainText(`cannot listen on ${address} for gt06 (tcp)`)
  await isAccessible(page)
  await isWithin(page)
  await leave()
  await expect(made.locator('.state')).toHaveText('open', { timeout: 60_000 })
  await page.goto(`${site()}/admin/audit`)
  await expect(page.getByText('listener.create').first()).toBeVisible()
  expect(complaints.filter((what) => !what.includes('409'))).toEqual([])
  await context.close()
})
