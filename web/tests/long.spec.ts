// A month of a device: all of it is shown, with some of its records; and with all of them, where somebody looks nearer.
import { expect, test } from '@playwright/test'
import { isAccessible, watch } from './people'
import { backlog, PASSWORD, serve, type Served } from './server'

const NAME = 'LONG-1'
const [HOUR, DAY] = [3_600_000, 86_400_000]
/** Twenty days, on each of which three times for a minute and a half something was sent each ten seconds. */
const [DAYS, TIMES, RECORDS] = [20, 3, 10]
let kept: { time: number; minute: number }[] = []
let served: Served

test.beforeAll(async () => {
  served = await serve()
  const last = Math.floor(Date.now() / 60_000) * 60_000 - DAY
  const begins = Array.from({ length: DAYS * TIMES }, (_, at) => last - Math.floor(at / TIMES) * DAY - (at % TIMES) * 6 * HOUR).reverse()
  kept = begins.flatMap((begin) => Array.from({ length: RECORDS }, (_, at) => ({ time: begin + at * 10_000, minute: at })))
  await backlog(0, kept, { address: served.addresses.wialon ?? '', name: NAME })
})
test.afterAll(() => served.stop())

test('a month is shown up to its end with some of its records, says so, and has all of them nearer and in files', async ({ page }) => {
  const site = `http://${served.addresses.http}`
  expect((await page.request.get(site)).ok(), 'the server has the pages').toBe(true)
  await page.request.post(`${site}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  const complaints = watch(page)
  const steps: (string | null)[] = []
  page.on('request', (request) => {
    const { pathname, searchParams } = new URL(request.url())
    if (pathname.endsWith('/records')) steps.push(searchParams.get('thin'))
  })
  const day = new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin', year: 'numeric', month: '2-digit', day: '2-digit' })
  await page.goto(`${site}/devices/${NAME}?from=${day.format(Date.now() - 30 * DAY)}&to=${day.format(Date.now())}`)
  const note = page.getByText(/^Of each 22 min, only the first and the last record/)
  await expect(note).toBeVisible()
  await expect(page.locator('.day[aria-busy="false"] .u-over').first()).toBeVisible()
  await expect(page.getByRole('slider', { name: 'Time cursor' })).toHaveAttribute('aria-valuenow', String(kept.at(-1)?.time))
  const marks = await page.locator('.ticks span').evaluateAll((all) => all.map((one) => one.getBoundingClientRect()).map(({ left, right }) => ({ left, right })))
  expect(marks.length).toBeGreaterThan(5)
  expect(marks.filter(({ left }, at) => left < (marks[at - 1]?.right ?? -Infinity)), 'no day is written over the one before it').toEqual([])
  expect(steps.length).toBeGreaterThan(0)
  expect(steps.every((step) => Number(step) > 1300)).toBe(true)
  await isAccessible(page)

  await page.getByRole('link', { name: 'Table' }).click()
  await expect(note).toBeVisible()
  const table = page.locator('table[aria-rowcount]')
  await expect(table).toBeVisible()
  // Of each time the two ends, and four where a step ends within it.
  const count = Number(await table.getAttribute('aria-rowcount'))
  expect(count).toBeGreaterThanOrEqual(2 * DAYS * TIMES)
  expect(count).toBeLessThanOrEqual(4 * DAYS * TIMES)

  const nearer = page.getByRole('button', { name: 'Look nearer at the time cursor' })
  for (let time = 0; time < 3; time += 1) await nearer.click()
  await expect(note).toHaveCount(0)
  await expect(async () => {
    const [begin = 0, end = 0] = (new URL(page.url()).searchParams.get('zoom') ?? '').split(',').map(Number)
    const all = kept.filter(({ time }) => time >= begin && time <= end).length
    expect(all).toBeGreaterThan(5 * RECORDS)
    await expect(table).toHaveAttribute('aria-rowcount', String(all), { timeout: 1000 })
  }).toPass()
  await page.getByRole('button', { name: 'Whole period' }).click()
  await expect(note).toBeVisible()

  await page.getByText('Export', { exact: true }).click()
  const file = await page.getByRole('link', { name: 'CSV, a table' }).getAttribute('href')
  const lines = (await (await page.request.get(new URL(file ?? '', site).href)).text()).trimEnd().split('\n')
  expect(lines).toHaveLength(1 + kept.length)
  expect(complaints).toEqual([])
})
