// The list of the fleet while somebody is at it, in another order, with what does not go well, and when somebody comes back to it.
import { expect, test, type Page, type WebSocketRoute } from '@playwright/test'
import { isAccessible, signIn, site, truck, watch } from './people'
import { pixels } from './pixels'
import { drive, TRUCKS } from './server'
import { isWithin } from './within'

const list = (page: Page) => page.getByRole('listbox', { name: 'Devices' })
const rows = (page: Page) => list(page).getByRole('option')
/** Somewhere that is neither the list nor the map. */
const aside = (page: Page) => page.getByLabel('Search devices').hover()
const WARN = 'rgb(143, 90, 0)'
/** The map's accent in the light, which is drawn around what is lifted and nowhere else. */
const ACCENT = [29, 87, 196]
const NEAR = 24

/** What a device says now. */
const told = (n: number, values: Record<string, unknown>, more: Record<string, unknown> = {}) => {
  const time = new Date().toISOString()
  return { device: truck(n), state: 'moving', time, received: time, values, ...more }
}
const batch = (devices: unknown[], more: Record<string, unknown> = {}) => JSON.stringify({ full: true, devices, more: false, ...more })
/** A reading that is so far from its set-point of \u221220. */
const off = (kelvins: number) => ({ 'temperature.1': -20 + kelvins, 'reefer.setpoint.temperature.1': -20 })

test('rows stay under the pointer and under the keys: who leaves says so, and who comes waits', async ({ page }) => {
  const complaints = watch(page)
  const streams: URL[] = []
  page.on('websocket', (socket) => streams.push(new URL(socket.url())))
  await signIn(page)
  for (const n of [4, 5]) await drive(n, 182)
  await page.goto(`${site()}/?state=moving`)
  const row = (n: number) => rows(page).filter({ hasText: truck(n) })
  await expect(row(4)).toContainText('km/h')
  await expect(row(5)).toContainText('km/h')
  // The map has these alone, too: the server finds them.
  await expect.poll(() => streams.some(({ searchParams }) => searchParams.has('box') && searchParams.get('live') === 'moving')).toBe(true)
  await row(4).hover()
  await drive(4, 45)
  await expect(row(4)).toContainText('no longer matches')
  await expect(row(4).locator('.gone')).toBeVisible()
  await isAccessible(page)
  await aside(page)
  await expect(row(4)).toHaveCount(0)

  await row(5).hover()
  await drive(4, 183)
  const fresh = page.getByRole('button', { name: '1 new' })
  await expect(fresh).toBeVisible()
  await expect(row(4)).toHaveCount(0)
  await isAccessible(page)
  await fresh.click()
  await expect(row(4)).toBeVisible()
  await expect(fresh).toHaveCount(0)

  // By the keys it is the same.
  await aside(page)
  await page.getByLabel('Search devices').press('ArrowDown')
  await expect(list(page)).toBeFocused()
  await drive(4, 46)
  await expect(row(4)).toContainText('no longer matches')
  await page.keyboard.press('Shift+Tab')
  await expect(row(4)).toHaveCount(0)
  expect(complaints).toEqual([])
})

test('who is furthest from its set-point comes first where that is wanted, and nobody moves under the pointer', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const streams: WebSocketRoute[] = []
  await page.routeWebSocket((url) => url.pathname === '/api/v1/live' && !url.searchParams.has('box'), (socket) => {
    streams.push(socket)
    socket.send(batch([told(0, off(0.5)), told(1, off(-3)), told(2, off(8.7))]))
  })
  await page.goto(site())
  await expect(rows(page)).toHaveCount(TRUCKS)
  const far = rows(page).locator('.far')
  await expect(far).toHaveText([/▼.*\u22123\.0/, /▲.*\+8\.7/])
  await expect(far.first()).toHaveCSS('color', WARN)
  const order = page.getByLabel('Order of the list')
  await order.focus()
  await order.selectOption('Furthest from set-point')
  await expect.poll(() => new URL(page.url()).searchParams.get('order')).toBe('off')
  const offs = rows(page).locator('.off')
  await expect(offs).toHaveText([/\+8\.7/, /\u22123\.0/, /\+0\.5/])
  await isAccessible(page)
  // A link shows the same.
  await page.reload()
  await expect(offs).toHaveText([/\+8\.7/, /\u22123\.0/, /\+0\.5/])

  await rows(page).nth(1).hover()
  streams.at(-1)?.send(batch([told(0, off(12)), told(1, off(-3)), told(2, off(8.7))]))
  await expect(offs).toHaveText([/\+8\.7/, /\u22123\.0/, /\+12\.0/])
  // Its place is another one now, and it takes it when it is asked to, or when nobody is there.
  const sort = page.getByRole('button', { name: 'Sort again' })
  await expect(sort).toBeVisible()
  await expect(offs).toHaveText([/\+8\.7/, /\u22123\.0/, /\+12\.0/])
  await aside(page)
  await expect(offs).toHaveText([/\+12\.0/, /\+8\.7/, /\u22123\.0/])
  await expect(sort).toHaveCount(0)
  await page.setViewportSize({ width: 390, height: 844 })
  await isWithin(page, 'main .tools', 'main .line')
  expect(complaints).toEqual([])
})

test('a row in a cluster lifts the cluster', async ({ page }) => {
  await signIn(page)
  const place = [10.53, 49.69]
  await page.routeWebSocket((url) => url.pathname === '/api/v1/live', (socket) => {
    const isMap = new URL(socket.url()).searchParams.has('box')
    const clusters = [{ id: '1.1', count: 310, centre: [10.51, 49.68], bounds: [10.45, 49.64, 10.57, 49.72], worst: 'stopped' }]
    socket.send(isMap ? batch([], { crowds: { zoom: 8, clusters, counts: { moving: 0, stopped: 310, no_signal: 0, alarm: 0 } } }) : batch([told(6, off(0), { place })]))
  })
  await page.goto(`${site()}/?q=${truck(6)}&at=10.5100,49.6800,8.00`)
  await expect(rows(page)).toHaveCount(1)
  const canvas = page.locator('.maplibregl-canvas')
  await expect(canvas).toBeVisible()
  const box = await canvas.boundingBox()
  if (!box) throw new Error('the map has no place')
  const clip = { x: Math.round(box.x + box.width / 2) - 40, y: Math.round(box.y + box.height / 2) - 40, width: 80, height: 80 }
  const ring = async () => (await pixels(page, clip)).filter((colour) => ACCENT.every((value, at) => Math.abs(value - (colour[at] ?? 999)) < NEAR)).length
  await expect.poll(ring).toBe(0)
  await rows(page).hover()
  await expect.poll(ring).toBeGreaterThan(60)
  await aside(page)
  await expect.poll(ring).toBe(0)
})

test('one in alarm that drives says how fast, and one that is silent has nothing of now on its page', async ({ page }) => {
  await signIn(page)
  await drive(3, 184)
  await page.goto(`${site()}/?q=${truck(3)}`)
  await expect(rows(page)).toContainText('SOS button')
  await expect(rows(page).locator('.pace')).toHaveText('76 km/h')
  await rows(page).click()
  await expect(page.locator('header .state')).toHaveText(/^alarm\s+76 km\/h$/)
  await expect(page.locator('header .cold')).not.toHaveClass(/(^| )old( |$)/)
  await page.routeWebSocket(/\/api\/v1\/live\?devices=/, (socket) => socket.send(batch([told(2, off(1), { state: 'no_signal' })])))
  await page.goto(`${site()}/devices/${truck(2)}`)
  await expect(page.locator('header .cold')).toHaveClass(/(^| )old( |$)/)
})

test('whoever comes back finds the list and the question as they were left', async ({ page }) => {
  const complaints = watch(page)
  await page.setViewportSize({ width: 1000, height: 500 })
  await signIn(page)
  await page.goto(`${site()}/?q=35000000000`)
  await expect(rows(page).first()).toBeVisible()
  await expect(rows(page).first()).toHaveAttribute('aria-setsize', String(TRUCKS))
  await list(page).evaluate((element) => (element.scrollTop = 120))
  const row = rows(page).filter({ hasText: truck(7) })
  await row.click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(truck(7))
  await page.getByRole('link', { name: 'Fleet', exact: true }).click()
  await expect(page.getByLabel('Search devices')).toHaveValue('35000000000')
  await expect(row).toHaveAttribute('aria-selected', 'true')
  await expect.poll(() => list(page).evaluate((element) => element.scrollTop)).toBe(120)
  expect(new URL(page.url()).searchParams.get('q')).toBe('35000000000')

  await page.getByRole('link', { name: 'SQL', exact: true }).click()
  const editor = page.getByRole('textbox', { name: 'Query' })
  await editor.fill('SELECT 7 AS half a question')
  await page.getByRole('link', { name: 'System', exact: true }).click()
  await expect(page.getByText('From socket to lake')).toBeVisible()
  await page.getByRole('link', { name: 'SQL', exact: true }).click()
  await expect(editor).toHaveValue('SELECT 7 AS half a question')
  // Nobody asked it yet.
  await expect(page.getByRole('alert')).toHaveCount(0)
  expect(complaints).toEqual([])
})

test('the first rows and the map wait for nobody, and a pointer among them keeps nobody out', async ({ page }) => {
  const complaints = watch(page)
  let [come, count] = [() => {}, 0]
  const others = new Promise<void>((resolve) => (come = resolve))
  await page.route(/\/api\/v1\/devices\?/, async (route) => {
    const url = new URL(route.request().url())
    const isFirst = url.searchParams.get('cursor') === null
    url.searchParams.delete('cursor')
    const all = (await (await route.fetch({ url: url.href })).json()) as { devices: unknown[] }
    count = all.devices.length
    if (!isFirst) await others
    await route.fulfill({ json: isFirst ? { ...all, devices: all.devices.slice(0, 2), next: 'others' } : { ...all, devices: all.devices.slice(2), next: null } })
  })
  await signIn(page)
  await page.goto(`${site()}/`)
  await expect(rows(page)).toHaveCount(2)
  await expect(page.getByText('2 devices and more')).toBeVisible()
  await expect(page.locator('.maplibregl-canvas')).toBeVisible()
  await rows(page).first().hover()
  come()
  await expect(page.getByText(`${count} devices`, { exact: true })).toBeVisible()
  await expect(rows(page)).toHaveCount(count)
  await expect(page.getByRole('button', { name: /new$/ })).toHaveCount(0)
  expect(complaints).toEqual([])
})

test('the map shows all of the fleet at first, also on a phone', async ({ page }) => {
  const complaints = watch(page)
  const boxes: number[][] = []
  page.on('websocket', (socket) => {
    const box = new URL(socket.url()).searchParams.get('box')
    if (box) boxes.push(box.split(',').map(Number))
  })
  await page.setViewportSize({ width: 390, height: 844 })
  await signIn(page)
  await page.goto(`${site()}/`)
  await expect.poll(() => boxes.length).toBe(1)
  const [west = 0, south = 0, east = 0, north = 0] = boxes[0] ?? []
  const answer = await page.request.get(`${site()}/api/v1/live/view`, { params: { box: '-180,-90,180,90', zoom: 20, parameters: 'position.speed' } })
  const { clusters, devices } = (await answer.json()) as { clusters: { centre: number[] }[]; devices: { place: number[] | null }[] }
  const places = [...clusters.map(({ centre }) => centre), ...devices.flatMap(({ place }) => (place ? [place] : []))]
  expect(places.length).toBeGreaterThan(5)
  expect(places.filter(([x = NaN, y = NaN]) => !(x > west && x < east && y > south && y < north))).toEqual([])
  expect(complaints).toEqual([])
})
