// A fleet too large to be held by a browser: the server finds, counts and pages, and only those in sight are streamed. And what rows say.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, type Page } from '@playwright/test'
import { isAccessible, signIn, site, truck, watch } from './people'
import { backlog, drive, open, PASSWORD, serve, TRUCKS, type Served } from './server'

/** More than a browser holds. */
const DEVICES = 5200
const id = (n: number) => `36000000000${String(n).padStart(4, '0')}`
/** A refrigeration unit whose return air is 1.5 degrees above its set-point, as the vectors of Galileosky have it. */
const REEFER = '01a00003383638323034303035363437383338043200102a012000f153653007c00e3203b8d72d055b0efe7f030f000038ff47ff29ff06ff0100140023001200f6ff2e3f4cff0080ff7f4cff000045ff24004aff7900008000003f0c000000050000000000000000000000000000000000000000000000000000e2040000e001000000000000fffffffff6ffffff91820b003930000000350c000000aa05d487d6120007ac'

test.describe('a large fleet', () => {
  let served: Served
  let home = ''

  test.beforeAll(async () => {
    served = await serve('', ['galileo'])
    const file = join(served.data, '..', 'fleet.csv')
    const rows = Array.from({ length: DEVICES }, (_, n) => `${id(n)};Truck ${n};${n % 2 ? 'Odd' : 'Even'}`)
    writeFileSync(file, ['imei;name;group', ...rows].join('\n'))
    execFileSync(served.binary, ['device', 'import', file, '--apply', '--data', served.data])
    home = process.env.TEST_PREVIEW ? '' : `http://${served.addresses.http}`
  })
  test.afterAll(() => served.stop())

  async function enter(page: Page): Promise<void> {
    test.skip(home === '', 'a large fleet is seen where the server has the pages itself')
    expect((await page.request.get(home)).ok(), 'the server has the pages').toBe(true)
    await page.request.post(`${home}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  }
  /** Devices that speak Wialon, some minutes after their drive began. */
  const speak = async (minute: number, ...numbers: number[]) => {
    for (const n of numbers) await drive(n % TRUCKS, minute, { address: served.addresses.wialon ?? '', name: id(n) })
  }

  test('is found, counted and scrolled through by the server', async ({ page }) => {
    const complaints = watch(page)
    const streams: { url: string; isOpen: boolean }[] = []
    page.on('websocket', (socket) => {
      const stream = { url: socket.url(), isOpen: true }
      streams.push(stream)
      socket.on('close', () => (stream.isOpen = false))
    })
    await enter(page)
    await speak(5, 0, 1, 2)
    await page.goto(home)
    const list = page.getByRole('listbox', { name: 'Devices' })
    const rows = list.getByRole('option')
    await expect(page.getByText('5,200 devices')).toBeVisible()
    await expect(rows.first()).toContainText('Truck 0')
    await expect(rows.first()).toContainText('76 km/h')
    // All that changes anywhere is streamed to nobody.
    await expect.poll(() => streams.filter(({ isOpen }) => isOpen).every(({ url }) => /[?&](devices|box)=/.test(url))).toBe(true)
    const listed = () => streams.filter(({ isOpen, url }) => isOpen && url.includes('devices=')).map(({ url }) => new URL(url).searchParams.get('devices')?.split(',') ?? [])
    await expect.poll(() => listed().map((ids) => (ids.length < 100 ? 'few' : ids.length))).toEqual(['few'])
    await isAccessible(page)

    // Further rows come as one scrolls, and what they do with them.
    await expect(rows.first()).toHaveAttribute('aria-setsize', '100')
    await list.evaluate((element) => (element.scrollTop = element.scrollHeight))
    await expect(rows.first()).toHaveAttribute('aria-setsize', '200')
    await list.evaluate((element) => (element.scrollTop = 0))

    await page.getByLabel('Search devices').fill('truck 5199')
    await expect(rows).toHaveCount(1)
    await expect(rows).toContainText('Truck 5199')
    await expect(page.getByText('1 device', { exact: true })).toBeVisible()
    await expect(rows).toContainText('never seen')
    await speak(45, 5199)
    await expect(rows).toContainText('stopped')
    await page.getByLabel('Search devices').fill('')
    await expect(rows.first()).toContainText('Truck 0')

    await page.getByRole('button', { name: /^3 moving: show only these/ }).click()
    await expect(rows).toHaveCount(3)
    await page.getByLabel('Group').selectOption('Odd')
    await expect(rows).toHaveCount(1)
    await expect(rows).toContainText('Truck 1')
    await page.getByRole('button', { name: /moving: show only these/ }).click()
    await expect(page.getByText('2,600 devices')).toBeVisible()
    await page.getByLabel('Group').selectOption('')

    // On the map there are few: they are listed, and go as the map moves.
    await page.getByLabel('On the map only').check()
    // The map began around those that had said where they are by then.
    await expect(async () => {
      await page.getByRole('button', { name: 'Show all', exact: true }).click()
      await expect(page.getByText('4 devices', { exact: true })).toBeVisible({ timeout: 3000 })
    }).toPass()
    await expect(rows).toHaveCount(4)
    await page.getByLabel('On the map only').uncheck()

    await page.keyboard.press('Control+k')
    await page.keyboard.type('truck 4321')
    await page.getByRole('option', { name: 'Truck 4321' }).click()
    await expect(page.getByRole('heading', { name: 'Truck 4321' })).toBeVisible()
    await page.goto(`${home}/admin/groups`)
    await expect(page.getByRole('row').filter({ hasText: 'Even' })).toContainText('2600')
    // A device that has sent nothing has no state, and a browser tells each answer that is none.
    expect(complaints.filter((text) => !text.includes('404'))).toEqual([])
  })

  test('a row and its page show a temperature with its difference to the set-point', async ({ page }) => {
    await enter(page)
    const socket = await open(served.addresses.galileo ?? '')
    socket.write(Buffer.from(REEFER, 'hex'))
    await once(socket, 'data')
    socket.destroy()
    await page.goto(`${home}/?q=868204005647838`)
    const row = page.getByRole('listbox', { name: 'Devices' }).getByRole('option')
    await expect(row).toContainText('\u221218.5')
    await expect(row.getByTitle('to the set-point of \u221220.0 °C')).toHaveText('+1.5')
    await row.click()
    await expect(page.locator('header')).toContainText('\u221218.5 °C +1.5 to set-point \u221220.0')
    await isAccessible(page)
  })

  test('a temperature that is much older than the record beside it says so', async ({ page }) => {
    await enter(page)
    const socket = await open(served.addresses.wialon ?? '')
    const say = async (text: string) => {
      socket.write(`${text}\r\n`)
      await once(socket, 'data')
    }
    const record = (ms: number, parameters: string) => {
      const [, year, month, day, ...clock] = /^\d\d(..)-(..)-(..)T(..):(..):(..)/.exec(new Date(ms).toISOString()) ?? []
      return say(`#D#${day}${month}${year};${clock.join('')};4730.0000;N;00800.0000;E;0;0;400;11;0.9;1;0;;NA;${parameters}`)
    }
    await say(`#L#${id(7)};NA`)
    await record(Date.now() - 3.5 * 3_600_000, 'temp1:2:-18.4')
    await record(Date.now(), 'fuel:2:300')
    socket.destroy()
    await page.goto(`${home}/?q=${id(7)}`)
    const row = page.getByRole('listbox', { name: 'Devices' }).getByRole('option')
    await expect(row.locator('.value')).toHaveText(/\u221218\.4\s*°C\s+3 h old/)
    await expect(row.locator('.value')).toHaveClass(/old/)
    await isAccessible(page)
    await row.click()
    await expect(page.locator('header .cold')).toHaveText('\u221218.4 °C 3 h old')
    await isAccessible(page)
  })
})

test('a trend comes while one looks, and is there when one comes back to the list', async ({ page }) => {
  test.skip(Boolean(process.env.TEST_PREVIEW), 'one device alone is seen where the server has the pages itself')
  const served = await serve()
  try {
    const home = `http://${served.addresses.http}`
    // Warmer by a degree after 14 minutes of its drive, and as at first after 28.
    const send = (ago: number, minute: number) => backlog(0, [{ time: Date.now() - ago * 60_000, minute }], { address: served.addresses.wialon ?? '', name: 'lorry' })
    await send(40, 0)
    await page.request.post(`${home}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
    await expect.poll(async () => (await page.request.get(`${home}/api/v1/devices/lorry`)).status()).toBe(200)
    await page.goto(home)
    const row = page.getByRole('listbox', { name: 'Devices' }).getByRole('option')
    await expect(row.locator('.value')).toContainText('\u221220.0')
    await send(20, 14)
    await expect(row.getByTitle('rising')).toHaveText('↑')
    await row.click()
    await expect(page.getByRole('heading', { name: 'lorry' })).toBeVisible()
    await send(0, 28)
    await page.getByRole('link', { name: 'Fleet', exact: true }).click()
    await expect(row.getByTitle('falling')).toHaveText('↓')
  } finally {
    await served.stop()
  }
})

test('a row says for how long its device has stood, and the value of each is the first temperature that it has', async ({ page }) => {
  await signIn(page)
  await drive(10, 45)
  await page.goto(`${site()}/?q=${truck(10)}`)
  const row = page.getByRole('listbox', { name: 'Devices' }).getByRole('option')
  await expect(row).toContainText(/stopped \d+ (s|min)/)
  await expect(row).toContainText('°C')
  await row.click()
  await expect(page.locator('header')).toContainText(/stopped \d+ (s|min)/)
  expect(TRUCKS).toBeGreaterThan(10)
})

test('all tabs of a device are there at once, and the address of one that moves is a key away', async ({ page }) => {
  await signIn(page)
  await page.route(/\/commands\/types$/, (route) => route.abort())
  await page.route(/\/sessions\/current$/, async (route) => {
    const somebody = (await (await route.fetch()).json()) as object
    await route.fulfill({ json: { ...somebody, addresses: true } })
  })
  await page.route(/\/api\/v1\/address\?/, (route) => route.fulfill({ json: { text: 'Hauptstraße 1, Ulm', source: '© Test' } }))
  await drive(10, 300)
  await page.goto(`${site()}/devices/${truck(10)}/settings`)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(truck(10))
  await expect(page.getByRole('navigation', { name: 'Parts of the device' }).getByRole('link')).toHaveText(['Day', 'Table', 'Raw', 'Commands', 'Settings'])
  const place = page.locator('header .place')
  await expect(place).toHaveText(/\w/)
  await expect(place).not.toContainText('Hauptstraße')
  await place.getByRole('button').focus()
  await page.keyboard.press('Enter')
  await expect(place).toHaveText('Hauptstraße 1, Ulm')
  await expect(place.getByRole('button')).toHaveAttribute('aria-pressed', 'true')
  await isAccessible(page)
})
