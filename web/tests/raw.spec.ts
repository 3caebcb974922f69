// Messages byte by byte, by keyboard and by links, onto the clipboard and as others would read them; what else is found by typing; and
// whether a device is here.
import { once } from 'node:events'
import { expect, test } from '@playwright/test'
import { isAccessible, signIn, site, truck, watch } from './people'
import { open, PASSWORD } from './server'

const HOUR = 3_600_000
/** Teltonika's own example: a login, and a packet of one record. */
const IMEI = '356307042441013'
const LOGIN = `000f${Buffer.from(IMEI).toString('hex')}`
const PACKET = `000000000000003608010000016b40d8ea3001${'00'.repeat(15)}0105021503010101425e0f01f10000601a014e0000000000000000010000c7cf`

test('a link to a message shows it when what was shown then has long passed', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(7)}/raw?way=in&within=21600`)
  await page.getByRole('listbox', { name: 'Messages' }).getByRole('option').first().click()
  const bytes = page.getByRole('grid', { name: 'Bytes' })
  const said = (await bytes.textContent()) ?? ''
  const asked = () => new URL(page.url()).searchParams
  await expect.poll(() => asked().get('received')).toMatch(/^\d{4}-\d\d-\d\dT/)
  expect(asked().get('until')).toBeNull()
  const link = page.url()

  await page.clock.setFixedTime(Date.now() + 8 * HOUR)
  await page.goto(link)
  await expect(bytes).toHaveText(said)
  await expect(page.locator('.frame.chosen')).toBeVisible()
  await expect.poll(() => Date.parse(asked().get('until') ?? '')).toBeGreaterThan(Date.parse(asked().get('received') ?? ''))
  // It is no message of another device.
  await page.goto(link.replace(truck(7), truck(8)))
  await expect(page.getByText('Choose a message.')).toBeVisible()
  await expect.poll(() => asked().get('frame')).toBeNull()
  expect(complaints).toEqual([])
})

test('the keyboard goes from byte to byte, each marks its field, and all of them are one stop', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(2)}/raw?way=in&within=86400`)
  await page.getByRole('listbox', { name: 'Messages' }).getByRole('option').first().click()
  await expect(page.getByRole('row').filter({ hasText: 'longitude' }).first()).toBeVisible()
  await page.getByRole('button', { name: 'Hex', exact: true }).click()
  await page.getByRole('button', { name: 'Text', exact: true }).focus()
  await page.keyboard.press('Tab')
  const byte = (at: number) => page.locator(`.hexes [data-at="${at}"]`)
  await expect(byte(0)).toBeFocused()
  await page.keyboard.press('ArrowRight')
  await expect(byte(1)).toBeFocused()
  await expect(page.locator('tr.current')).toContainText('type')
  await expect(page.getByRole('status').filter({ hasText: /^Byte 1: / })).toHaveCount(1)
  await isAccessible(page)
  await page.keyboard.press('ArrowDown')
  await expect(byte(17)).toBeFocused()
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowUp')
  await expect(byte(0)).toBeFocused()
  await page.keyboard.press('Tab')
  await expect(page.locator('[data-at]:focus')).toHaveCount(0)
  await page.keyboard.press('Shift+Tab')
  await expect(byte(0)).toBeFocused()
  expect(complaints).toEqual([])
})

test('a message goes onto the clipboard as hex and as a vector, and is shown as another protocol reads it', async ({ page, context }) => {
  const complaints = watch(page)
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  const socket = await open(process.env.AUTO ?? '')
  for (const [message, answer] of [[LOGIN, '01'], [PACKET, '00000001']] as const) {
    socket.write(Buffer.from(message, 'hex'))
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    expect(bytes.toString('hex')).toBe(answer)
  }
  socket.destroy()
  await signIn(page)
  await expect.poll(async () => (await page.request.get(`${site()}/api/v1/devices/${IMEI}`)).status()).toBe(200)
  await page.goto(`${site()}/devices/${IMEI}/raw?way=in`)
  await page.getByRole('listbox', { name: 'Messages' }).getByRole('option').filter({ hasText: '66 B' }).click()
  const fields = page.getByRole('region', { name: 'Fields' })
  const codec = fields.getByRole('row').filter({ hasText: 'codec' }).first()
  await expect(codec).toBeVisible()
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText())
  await page.getByRole('button', { name: 'Copy Hex', exact: true }).click()
  await expect.poll(clipboard).toBe(PACKET)
  await page.getByRole('button', { name: /as vector$/i }).click()
  await expect.poll(clipboard).toContain(`> ${PACKET}\n`)
  // What came before it in the conversation is part of it, and what is mostly text is written as text.
  const [login, , record, reply, ...rest] = (await clipboard()).split('\n')
  expect([login, reply, rest]).toEqual([`> "\\x00\\x0f${IMEI}"`, '< 00000001', ['']])
  expect(record).toMatch(/^= \{.*"time":"2019-06-10T10:04:46/)

  const as = page.getByLabel('Decode as')
  await as.selectOption('gt06')
  await expect(fields.getByRole('alert')).toHaveText('⚠ header at byte 0: expected 78 78 or 79 79')
  await expect(codec).toHaveCount(0)
  await isAccessible(page)
  await as.selectOption('teltonika')
  await expect(codec).toBeVisible()
  await expect(fields.getByRole('alert')).toHaveCount(0)
  expect(complaints).toEqual([])
})

test('where there are more messages than are shown, it is said which are not', async ({ page }) => {
  await signIn(page)
  let count = 0
  await page.route(/\/frames\?/, (route) => {
    const asked = new URL(route.request().url()).searchParams
    const [after, limit] = [Number(asked.get('after') ?? 0), Number(asked.get('limit'))]
    const lines = Array.from({ length: Math.max(0, Math.min(limit, count - after)) }, (_, at) => JSON.stringify({ time: '2026-01-01T00:00:00Z', device: truck(6), stream: 1, place: after + at + 1, direction: 'out', kind: 'sent', hex: '01' }))
    return route.fulfill({ contentType: 'application/x-ndjson', body: lines.join('\n') })
  })
  const look = async (messages: number) => {
    count = messages
    await page.goto(`${site()}/devices/${truck(6)}/raw?until=2026-01-01T00:00:00.000Z`)
    await expect(page.getByRole('listbox', { name: 'Messages' }).getByRole('option').first()).toContainText('1 B')
  }
  await look(3000)
  await expect(page.locator('.note').filter({ hasText: 'messages' })).toHaveCount(0)
  await look(3001)
  await expect(page.getByText('Only the newest 3000 messages of this time are shown')).toBeVisible()
  await look(60_001)
  await expect(page.getByText('older and newer ones are missing')).toBeVisible()
})

test('commands are found by typing, and nobody finds a page that is not theirs', async ({ page, browser }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(5)}/raw`)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  const options = page.getByRole('listbox', { name: 'Commands and places' }).getByRole('option')
  await page.keyboard.press('Control+k')
  await page.keyboard.type('dark')
  await expect(options.first()).toContainText('Dark')
  await isAccessible(page)
  await page.keyboard.press('Enter')
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark')
  await page.keyboard.press('Control+k')
  await expect(options.filter({ hasText: 'Administration' })).toHaveCount(1)
  await page.keyboard.type('send a')
  await expect(options).toHaveCount(1)
  await page.keyboard.press('Enter')
  await expect(page.getByText(/here now/i)).toBeVisible()
  expect(new URL(page.url()).pathname).toBe(`/devices/${truck(5)}/commands`)
  expect(complaints).toEqual([])
  await page.keyboard.press('Control+k')
  await page.keyboard.type('sign out')
  await page.keyboard.press('Enter')
  await expect(page.getByLabel('Login')).toBeVisible()

  await signIn(page)
  const made = await page.request.post(`${site()}/api/v1/users`, { data: { login: 'seer', role: 'viewer', groups: [], password: PASSWORD } })
  expect([201, 409]).toContain(made.status())
  const context = await browser.newContext()
  const guest = await context.newPage()
  expect((await guest.request.post(`${site()}/api/v1/sessions`, { data: { login: 'seer', password: PASSWORD } })).status()).toBe(201)
  await guest.goto(`${site()}/settings`)
  await expect(guest.getByRole('heading', { name: 'Account' })).toBeVisible()
  await guest.keyboard.press('Control+k')
  const theirs = guest.getByRole('listbox', { name: 'Commands and places' }).getByRole('option')
  await expect(theirs.filter({ hasText: 'Unidentified' })).toHaveCount(1)
  await expect(theirs.filter({ hasText: /SQL|Administration|Send a command/ })).toHaveCount(0)
  await context.close()
})

test('whether a device is here is true though no command waits for it', async ({ page }) => {
  await signIn(page)
  let connected = false
  await page.route(/\/commands\/types(\?|$)/, async (route) => {
    const response = await route.fetch()
    await route.fulfill({ response, json: { ...((await response.json()) as object), connected } })
  })
  await page.goto(`${site()}/devices/${truck(7)}/commands`)
  await expect(page.getByText('Not here now')).toBeVisible()
  connected = true
  await expect(page.getByText('Here now: a command goes at once')).toBeVisible()
  await page.unrouteAll({ behavior: 'ignoreErrors' })
})
