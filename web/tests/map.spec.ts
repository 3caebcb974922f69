// Another map, by configuration: its hosts are asked and no others, and where it cannot be had, people are told and have the built-in one.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test, type Page } from '@playwright/test'
import { isAccessible } from './people'
import { PASSWORD, serve, type Served } from './server'

/** What the host of the map does: all is well, it has no style, or the style's tiles come from a host that nobody named. */
let mode: 'whole' | 'gone' | 'elsewhere' = 'whole'
let asked: string[] = []
let host: Server
let served: Served
let port = 0

/** One pixel, which is as good as any tile. */
const TILE = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==', 'base64')

test.beforeAll(async () => {
  host = createServer((request, answer) => {
    asked.push(request.url ?? '')
    const headers = { 'Access-Control-Allow-Origin': '*' }
    if (request.url?.startsWith('/tiles/')) return answer.writeHead(200, { ...headers, 'Content-Type': 'image/png' }).end(TILE)
    if (mode === 'gone' || request.url !== '/style.json') return answer.writeHead(404, headers).end()
    // Another name of this machine is another host.
    const tiles = `http://${mode === 'elsewhere' ? 'localhost' : '127.0.0.1'}:${port}/tiles/{z}/{x}/{y}`
    const style = { version: 8, sources: { ground: { type: 'raster', tiles: [tiles], tileSize: 256 } }, layers: [{ id: 'ground', type: 'raster', source: 'ground' }] }
    return answer.writeHead(200, { ...headers, 'Content-Type': 'application/json' }).end(JSON.stringify(style))
  })
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve))
  port = (host.address() as AddressInfo).port
  served = await serve(`[map]\nstyle = "http://127.0.0.1:${port}/style.json"\n`)
})
test.afterAll(async () => {
  await served.stop()
  host.closeAllConnections()
  host.close()
})

/** The map of an answer: it needs no device. */
async function open(page: Page): Promise<void> {
  const site = `http://${served.addresses.http}`
  // The server says whom its pages may ask, so they must be in it.
  expect((await page.request.get(site)).ok(), 'the server has the pages').toBe(true)
  await page.request.post(`${site}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  await page.goto(`${site}/sql?as=map&q=${encodeURIComponent("SELECT 'a' AS device, 48.4 AS lat, 10.0 AS lon")}`)
  await expect(page.locator('.maplibregl-canvas')).toBeVisible()
}

test('the map of the configuration is shown, and its host is named', async ({ page }) => {
  ;[mode, asked] = ['whole', []]
  const complaints: string[] = []
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  await open(page)
  await expect.poll(() => asked.some((url) => url.startsWith('/tiles/'))).toBe(true)
  await expect(page.locator('.map-note')).toHaveCount(0)
  await page.goto(`http://${served.addresses.http}/settings`)
  await expect(page.getByLabel(`As the server says: browsers ask http://127.0.0.1:${port}`)).toBeChecked()
  await isAccessible(page)
  // Whoever wants to leave no trace has the built-in map.
  await page.getByLabel('Built in: nothing leaves this server').check()
  asked = []
  await open(page)
  await expect(page.getByText('Natural Earth')).toBeAttached()
  expect(asked).toEqual([])
  expect(complaints).toEqual([])
})

test('a style that cannot be had is said, and the built-in map is there', async ({ page }) => {
  ;[mode, asked] = ['gone', []]
  await open(page)
  await expect(page.locator('.map-note')).toContainText(`The configured map cannot be had from 127.0.0.1:${port}`)
  await expect(page.getByText('Natural Earth')).toBeAttached()
  await isAccessible(page)
  await page.locator('.map-note').getByRole('button', { name: 'Close' }).click()
  await expect(page.locator('.map-note')).toHaveCount(0)
})

test('a host that nobody named is not asked, and that is said', async ({ page }) => {
  ;[mode, asked] = ['elsewhere', []]
  await open(page)
  await expect(page.locator('.map-note')).toContainText('Parts of the configured map cannot be had')
  expect(asked.filter((url) => url.startsWith('/tiles/'))).toEqual([])
})
