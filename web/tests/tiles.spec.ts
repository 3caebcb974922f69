// A map from a file: of the server's, for whoever has signed in or has a link, and of whoever looks, which is uploaded nowhere.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, type Page } from '@playwright/test'
import { archive, picture, vectorTile, type Feature } from './archive'
import { isAccessible } from './people'
import { pixels } from './pixels'
import { PASSWORD, serve, type Served } from './server'

const VIOLET = [150, 70, 200]
/** The map's colours of water and land, by light and by dark. */
const WATER = [219, 228, 234]
const LAND = [246, 246, 243]
const WATER_DARK = [15, 19, 23]
/** Where the built-in map has a desert and an ocean, on the latitude of which the map is opened. */
const LATITUDE = 20
const DESERT = 27
const OCEAN = -42

let folder: string
let served: Served
let link: string
const path = (name: string) => join(folder, name)

/** A world that is water in the east and land in the west, with a road and a town. */
function world(): Buffer {
  const area = (west: number, east: number): Feature => ({ shape: 'area', parts: [[[west, 0], [east, 0], [east, 4096], [west, 4096]]], about: { kind: 'earth' } })
  const tile = vectorTile({
    earth: [area(0, 4096)],
    water: [area(2048, 4096)],
    roads: [{ shape: 'line', parts: [[[0, 1000], [2048, 1200]]], about: { kind: 'highway', ref: 'A 8' } }],
    places: [{ shape: 'point', parts: [[[1600, 1500]]], about: { kind: 'locality', kind_detail: 'city', name: 'Westhaven', population_rank: 12 } }]
  })
  const layers = ['earth', 'water', 'roads', 'places'].map((id) => ({ id, fields: {} }))
  return archive({ kind: 'vector', tiles: [{ at: [0, 0, 0], bytes: tile }], metadata: { vector_layers: layers, attribution: '<a href="https://example.org/">The makers of the world</a>' } })
}

test.beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'odograph-tiles-'))
  const tiles = [{ at: [0, 0, 0] as const, bytes: picture(150, 70, 200) }]
  writeFileSync(path('server.pmtiles'), archive({ kind: 'png', tiles, metadata: { attribution: 'The makers of the pictures' } }))
  writeFileSync(path('world.pmtiles'), world())
  writeFileSync(path('text.pmtiles'), 'no map')
  writeFileSync(path('nothing.pmtiles'), archive({ kind: 'vector', tiles: [], metadata: {} }))
  served = await serve(`[map]\ntiles = "${path('server.pmtiles')}"\n`)
  const { cookie } = await signedIn()
  const ask = (to: string, body: unknown) => fetch(`${site()}/api/v1${to}`, { method: 'POST', headers: { 'Content-Type': 'application/json', cookie }, body: JSON.stringify(body) })
  expect((await ask('/devices', { ids: ['1'], name: 'Truck 1' })).status).toBe(201)
  link = ((await (await ask('/devices/1/shares', {})).json()) as { path: string }).path
})
test.afterAll(async () => {
  await served.stop()
  rmSync(folder, { recursive: true, force: true })
})

const site = () => `http://${served.addresses.http}`

async function signedIn(): Promise<{ cookie: string }> {
  const answer = await fetch(`${site()}/api/v1/sessions`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ login: 'admin', password: PASSWORD }) })
  return { cookie: answer.headers.get('set-cookie')?.split(';')[0] ?? '' }
}

/** The fleet's map, as far away as that ocean and desert are on it. */
async function open(page: Page, theme: 'light' | 'dark' = 'light'): Promise<void> {
  await page.emulateMedia({ colorScheme: theme })
  await page.request.post(`${site()}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  await page.goto(`${site()}/?at=0,${LATITUDE},2.00`)
  await expect(page.locator('.maplibregl-canvas')).toBeVisible()
}

/** The colour of the map at this longitude, halfway down. */
async function colour(page: Page, longitude: number): Promise<number[]> {
  const box = await page.locator('.maplibregl-canvas').boundingBox()
  if (!box) return []
  const clip = { x: Math.round(box.x + box.width / 2 + (longitude / 360) * 512 * 2 ** 2), y: Math.round(box.y + box.height / 2), width: 1, height: 1 }
  return (await pixels(page, clip))[0] ?? []
}

async function isColoured(page: Page, longitude: number, expected: number[]): Promise<void> {
  const nearly = (found: number[]) => expected.map((value, n) => (Math.abs(value - (found[n] ?? 999)) <= 3 ? value : found[n]))
  await expect.poll(async () => nearly(await colour(page, longitude)), { message: `the colour at ${longitude}°` }).toEqual(expected)
}

/** A file is let fall on the map. */
async function drop(page: Page, ...names: string[]): Promise<void> {
  const files = await page.evaluateHandle((all) => {
    const dropped = new DataTransfer()
    for (const name of all) dropped.items.add(new File(['no map'], name))
    return dropped
  }, names)
  const map = page.locator('.maplibregl-canvas')
  await map.dispatchEvent('dragover', { dataTransfer: files })
  await expect(page.locator('[data-drop]')).toHaveCount(1)
  await map.dispatchEvent('drop', { dataTransfer: files })
  await expect(page.locator('[data-drop]')).toHaveCount(0)
}

test('the file of the configuration is the map, for whoever has signed in or has a link', async ({ page, browser }) => {
  const complaints: string[] = []
  page.on('console', (message) => message.type() === 'error' && !message.location().url.includes('/sessions') && complaints.push(message.text()))
  await open(page)
  await isColoured(page, DESERT, VIOLET)
  await isColoured(page, OCEAN, VIOLET)
  await expect(page.getByText('The makers of the pictures')).toBeAttached()
  await expect(page.locator('.map-note')).toHaveCount(0)
  await page.goto(`${site()}/settings`)
  await expect(page.getByLabel('As the server says: a file that it has itself')).toBeChecked()
  await isAccessible(page)
  await page.getByLabel('Built in: nothing leaves this server').check()
  await open(page)
  await isColoured(page, DESERT, LAND)
  await isColoured(page, OCEAN, WATER)
  expect(complaints).toEqual([])

  const guest = await browser.newContext()
  const shared = await guest.newPage()
  expect((await shared.request.get(`${site()}/api/v1/map/tiles`, { headers: { Range: 'bytes=0-126' } })).status()).toBe(401)
  await shared.goto(site() + link)
  await expect(shared.locator('.maplibregl-canvas')).toBeVisible()
  await isColoured(shared, 0, VIOLET)
  await guest.close()
})

test('a file that somebody chooses is drawn in our colours, and is uploaded nowhere', async ({ page }) => {
  await open(page)
  await isColoured(page, DESERT, VIOLET)
  const sent: string[] = []
  page.on('request', (request) => request.method() !== 'GET' && sent.push(request.url()))
  await page.getByRole('button', { name: 'Map from a file' }).click()
  const dialog = page.getByRole('dialog', { name: 'Map from a file' })
  await isAccessible(page)
  const choosing = page.waitForEvent('filechooser')
  await dialog.getByRole('button', { name: 'Choose a .pmtiles file' }).click()
  const chooser = await choosing
  await chooser.setFiles(path('nothing.pmtiles'))
  await expect(dialog.getByRole('alert')).toHaveText('nothing.pmtiles cannot be shown: it does not say which layers its tiles have.')
  await chooser.setFiles(path('world.pmtiles'))
  await expect(dialog).toHaveCount(0)
  // East of the meridian it has water, whatever there is in the built-in map; west of it, land.
  await isColoured(page, DESERT, WATER)
  await isColoured(page, OCEAN, LAND)
  await expect(page.getByText('The makers of the world')).toBeAttached()
  await page.emulateMedia({ colorScheme: 'dark' })
  await isColoured(page, DESERT, WATER_DARK)
  await page.emulateMedia({ colorScheme: 'light' })
  await isColoured(page, DESERT, WATER)
  await page.getByRole('button', { name: 'Map from a file' }).click()
  await expect(dialog).toContainText('Shown now: world.pmtiles')
  await dialog.getByRole('button', { name: 'Without the file' }).click()
  await isColoured(page, DESERT, VIOLET)
  expect(sent).toEqual([])

  // Whoever signs in next in this tab has it no longer.
  await page.getByRole('button', { name: 'Map from a file' }).click()
  await Promise.all([page.waitForEvent('filechooser').then((next) => next.setFiles(path('world.pmtiles'))), dialog.getByRole('button', { name: 'Choose a .pmtiles file' }).click()])
  await isColoured(page, DESERT, WATER)
  await page.getByRole('link', { name: 'Settings' }).click()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Login').fill('admin')
  await page.getByLabel('Password').fill(PASSWORD)
  await page.keyboard.press('Enter')
  await page.getByRole('link', { name: 'Fleet' }).click()
  await page.getByRole('button', { name: 'Map from a file' }).click()
  await expect(dialog.getByRole('button', { name: 'Choose a .pmtiles file' })).toBeVisible()
  await expect(dialog).not.toContainText('Shown now')
})

test('what is no map is said, and the map stays', async ({ page }) => {
  await open(page)
  await isColoured(page, DESERT, VIOLET)
  await drop(page, 'text.pmtiles')
  await expect(page.locator('.map-note')).toContainText('text.pmtiles cannot be shown: it is no PMTiles archive.')
  await isAccessible(page)
  await drop(page, 'one.pmtiles', 'other.pmtiles')
  await expect(page.locator('.map-note')).toContainText('One file at a time: 2 were dropped.')
  await isColoured(page, DESERT, VIOLET)
})
