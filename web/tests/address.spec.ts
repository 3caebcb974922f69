// Addresses of places, where the server has a geocoder to ask: where somebody rests, with whose they are; else the town.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from '@playwright/test'
import { isAccessible, watch } from './people'
import { backlog, PASSWORD, serve, type Served } from './server'

let isSilent = false
let asked: string[] = []
let geocoder: Server
let served: Served

test.beforeAll(async () => {
  geocoder = createServer((request, answer) => {
    asked.push(request.url ?? '')
    if (isSilent) return
    const latitude = new URL(request.url ?? '', 'http://here').searchParams.get('lat')
    const address = { road: 'Hauptstraße', house_number: latitude, town: 'Altdorf' }
    answer.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ display_name: 'all of it', address, licence: '© Test' }))
  })
  await new Promise<void>((resolve) => geocoder.listen(0, '127.0.0.1', resolve))
  const { port } = geocoder.address() as AddressInfo
  served = await serve(`[geocoder]\nurl = "http://127.0.0.1:${port}/reverse?lat={latitude}&lon={longitude}"\ntimeout = "5 s"\nrequests_per_second = 50\n`)
  const now = Date.now()
  // It stands at the end.
  const kept = [20, 25, 40, 45, 50].map((minute, at) => ({ time: now - (5 - at) * 60_000, minute }))
  await backlog(0, kept, { address: served.addresses.wialon ?? '', name: 'lorry' })
})
test.afterAll(async () => {
  await served.stop()
  geocoder.closeAllConnections()
  geocoder.close()
})

test('places where somebody rests have their address, and without an answer the town', async ({ page }) => {
  const site = `http://${served.addresses.http}`
  expect((await page.request.get(site)).ok(), 'the server has the pages').toBe(true)
  await page.request.post(`${site}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  const complaints = watch(page)
  const day = new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin', year: 'numeric', month: '2-digit', day: '2-digit' })
  const query = `from=${day.format(Date.now() - 86_400_000)}&to=${day.format(Date.now())}`
  await page.goto(`${site}/devices/lorry?${query}`)
  const where = page.locator('footer .where')
  // The truck of the number 0 stands 30 km from where it began.
  await expect(where).toContainText('Hauptstraße 47.74, Altdorf')
  await expect(where).toContainText('© Test')
  await expect(page.locator('header .place')).toContainText('Hauptstraße 47.74, Altdorf')
  await isAccessible(page)
  const cursor = page.getByRole('slider', { name: 'Time cursor' })
  await cursor.focus()
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowRight')
  await expect(where).not.toContainText('47.74')
  await expect(where).toContainText('Hauptstraße 47.')
  // One place, one question.
  expect(asked.length).toBe(new Set(asked).size)

  await page.goto(site)
  const row = page.getByRole('listbox', { name: 'Devices' }).getByRole('option').first()
  await expect(row).toBeVisible()
  await row.hover()
  await expect(row).toContainText('Hauptstraße 47.74, Altdorf')
  await expect(page.getByText('Address: © Test')).toBeVisible()
  await isAccessible(page)
  expect(complaints).toEqual([])

  isSilent = true
  asked = []
  await page.goto(`${site}/devices/lorry?${query}`)
  await expect(where).toContainText('Hauptstraße 47.74')
  await cursor.focus()
  await page.keyboard.press('Home')
  for (let step = 0; step < 2; step += 1) await page.keyboard.press('ArrowRight')
  await expect.poll(() => asked.length).toBe(1)
  await expect(where).not.toContainText('Hauptstraße')
  await expect(where).not.toBeEmpty()
})
