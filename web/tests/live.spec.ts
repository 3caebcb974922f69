// What moves while somebody looks: devices, the cursor, what comes late, the day.
import { expect, test, type Page } from '@playwright/test'
import { isAccessible, signIn, site, truck, watch } from './people'
import { backlog, drive } from './server'
import { lately, records } from './stored'
import { isWithin } from './within'

const cursor = (page: Page) => page.getByRole('slider', { name: 'Time cursor' })
const cursorAt = async (page: Page) => Number(await cursor(page).getAttribute('aria-valuenow'))
const rows = (page: Page) => page.getByRole('region', { name: 'Records' }).getByRole('table')
/** All of a period is read anew after twenty times as long as it took, and a busy machine takes seconds. */
const ANEW_MS = 150_000

test('a device moves on the fleet and on its own page, as it does', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/?q=${truck(10)}`)
  const row = page.getByRole('option').filter({ hasText: truck(10) })
  await expect(row.locator('.place')).toHaveText(/\w/)
  const was = (await row.locator('.place').textContent()) ?? ''
  await drive(10, 400)
  await expect(row.locator('.place')).not.toHaveText(was)
  await row.click()
  await expect(page.locator('.u-over').first()).toBeVisible()
  const [end, place] = [await cursorAt(page), (await page.locator('header .place').textContent()) ?? '']
  await drive(10, 700)
  await expect(page.locator('header .place')).not.toHaveText(place)
  // The cursor stood at the end: it goes along, and the address does not fix it.
  await expect.poll(() => cursorAt(page)).toBeGreaterThan(end)
  expect(new URL(page.url()).searchParams.get('t')).toBeNull()
  // Elsewhere it is fixed, with its day: tomorrow the link shows the same.
  const day = () => new URL(page.url()).searchParams.get('day')
  await page.keyboard.press('ArrowLeft')
  await expect.poll(day).toBe(await page.getByLabel('Day', { exact: true }).inputValue())
  await page.keyboard.press('ArrowRight')
  await expect.poll(day).toBeNull()
  expect(complaints).toEqual([])
})

test('what a device sends late appears where it belongs, while one looks', async ({ page }) => {
  test.slow()
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(11)}/table?${lately()}`)
  await expect(rows(page)).toBeVisible()
  await expect(rows(page)).toHaveAttribute('aria-rowcount', String((await records(page, truck(11))).length))
  const count = Number(await rows(page).getAttribute('aria-rowcount'))
  const now = Math.floor(Date.now() / 60_000) * 60_000
  // In the gap of its day, the newest first.
  await backlog(11, [74, 75, 76].map((minute) => ({ time: now - minute * 60_000, minute: 180 - minute })))
  await expect(rows(page)).toHaveAttribute('aria-rowcount', String(count + 3), { timeout: ANEW_MS })
  await drive(11, 181)
  await expect(rows(page)).toHaveAttribute('aria-rowcount', String(count + 4), { timeout: ANEW_MS })
  expect(complaints).toEqual([])
})

test('the legend says what was recorded at the cursor, and moving it makes no chart anew', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const all = await records(page, truck(0))
  const [first, at, last] = [all[0], all[40], all.at(-1)]
  if (!first || !at || !last) throw new Error('there are too few records')
  const text = (value: unknown) => Number(value).toFixed(1).replace('-', '\u2212')
  const legend = page.locator('.reading[title="temperature.1"] b')
  // From the first record to the last: then what lies under a place of the chart does not depend on the hour of the day.
  const zoom = [first, last].map(({ time }) => Date.parse(time)).join()
  await page.goto(`${site()}/devices/${truck(0)}?${lately()}&t=${at.time}&zoom=${zoom}&p=temperature.1,temperature.2,position.speed,position.hdop,door.status`)
  await expect(legend).toHaveText(text(at['temperature.1']))
  // What has no unit is no flag for that.
  await expect(page.locator('.reading[title="position.hdop"] b')).toHaveText('0.90')
  await expect(page.locator('.reading[title="door.status"] b')).toHaveText(/^(on|off)$/)
  const chart = page.locator('.u-over').first()
  const box = await chart.boundingBox()
  if (!box) throw new Error('the chart has no place')
  await page.evaluate(() => {
    const made = globalThis as unknown as { made: number }
    made.made = 0
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) for (const node of addedNodes) if (node instanceof Element && node.matches('.uplot')) made.made += 1
    }).observe(document.body, { childList: true, subtree: true })
  })
  const seen = new Set<number>()
  for (let step = 0; step < 40; step += 1) {
    await page.mouse.move(box.x + box.width * (0.98 - step * 0.002), box.y + box.height / 2)
    seen.add(await cursorAt(page))
  }
  expect(seen.size).toBeGreaterThan(30)
  expect(await page.evaluate(() => (globalThis as unknown as { made: number }).made)).toBe(0)
  // Wherever it stands, it reads the record before.
  await page.keyboard.press('+')
  await page.mouse.move(box.x + box.width * 0.7, box.y + box.height / 2)
  await expect(async () => {
    const here = await cursorAt(page)
    const before = all.filter(({ time }) => Date.parse(time) <= here).at(-1)
    await expect(legend).toHaveText(text(before?.['temperature.1']), { timeout: 1000 })
  }).toPass()
  expect(complaints).toEqual([])
})

test('a track plays, and from the beginning of what is looked at once it is at its end', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const all = await records(page, truck(0))
  // An hour and more, which takes more than a minute: a machine that stops for some seconds is not at the end of it.
  const [from, to] = [all[5], all[80]].map((one) => Date.parse(one?.time ?? ''))
  if (!from || !to) throw new Error('there are too few records')
  await page.goto(`${site()}/devices/${truck(0)}?${lately()}&t=${new Date(to).toISOString()}&zoom=${from},${to}`)
  await expect(cursor(page)).toHaveAttribute('aria-valuenow', String(to))
  await expect(page.getByRole('button', { name: 'Whole period' })).toBeVisible()
  await page.getByLabel('Speed of time').selectOption('60×')
  await page.getByRole('button', { name: 'Play' }).click()
  await expect.poll(() => cursorAt(page)).toBeLessThan(to)
  const first = await cursorAt(page)
  expect(first).toBeGreaterThanOrEqual(from)
  await expect.poll(() => cursorAt(page)).toBeGreaterThan(first)
  await page.getByLabel('Speed of time').selectOption('1800×')
  await expect(cursor(page)).toHaveAttribute('aria-valuenow', String(to))
  await expect(page.getByRole('button', { name: 'Play' })).toBeVisible()
  expect(complaints).toEqual([])
})

test('at midnight whoever follows goes on to the new day, and whoever looks at a moment stays', async ({ page }) => {
  await signIn(page)
  // A day after noon it is the next day, also where one has 23 or 25 hours.
  await page.clock.install({ time: `${new Date().toISOString().slice(0, 10)}T12:00:00Z` })
  const day = () => page.getByLabel('Day', { exact: true }).inputValue()
  await page.goto(`${site()}/devices/${truck(1)}`)
  await expect(page.getByLabel('Day', { exact: true })).toBeAttached()
  const today = await day()
  const tomorrow = new Date(Date.parse(today) + 86_400_000).toISOString().slice(0, 10)
  await page.clock.fastForward('24:00:00')
  await expect.poll(day).toBe(tomorrow)
  await page.getByRole('button', { name: 'The period before' }).click()
  await expect.poll(day).toBe(today)
})

test('an address with a moment and without a day shows the day of that moment', async ({ page }) => {
  await signIn(page)
  // By any clock, that is not today.
  const moment = Date.now() - 26 * 3_600_000
  await page.goto(`${site()}/devices/${truck(1)}?t=${new Date(moment).toISOString()}`)
  const day = new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin', year: 'numeric', month: '2-digit', day: '2-digit' })
  await expect(page.getByLabel('Day', { exact: true })).toHaveValue(day.format(moment))
})

test('what was so at the cursor is said in words', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const all = await records(page, truck(0))
  const first = all.findIndex((one) => one['door.status'] === true)
  const [open, at, shut] = [all[first], all[first + 10], all.slice(first).find((one) => one['door.status'] === false)]
  if (!open || !at || !shut) throw new Error('no door was opened and shut')
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
  const clock = ({ time }: { time: string }) => format.format(Date.parse(time))
  await page.goto(`${site()}/devices/${truck(0)}?${lately()}&t=${at.time}`)
  const held = page.locator('footer .held')
  await expect(held).toContainText(`door open, ${clock(open)}–${clock(shut)}, 15 min`)
  await expect(held).toContainText(`stop, ${clock(open)}–`)
  for (let step = 0; step < 11; step += 1) await page.keyboard.press('ArrowLeft')
  await expect(held).toContainText(`–${clock(open)}`)
  await expect(held).not.toContainText('door')
  await page.goto(`${site()}/devices/${truck(3)}?${lately()}`)
  await expect(held).toContainText('Alarm: SOS button')
  await isAccessible(page)
  expect(complaints).toEqual([])
})

test('on a phone, and enlarged to twice its size, all of a day is within reach', async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true })
  const page = await context.newPage()
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(0)}?${lately()}&p=temperature.1,position.speed,door.status`)
  const plots = page.getByRole('region', { name: 'Charts' }).locator('.u-over')
  await expect(plots).toHaveCount(3)
  for (const name of ['Day', 'Week', 'Range']) await expect(page.getByRole('group', { name: 'Length of the period' }).getByRole('button', { name })).toBeInViewport({ ratio: 0.98 })
  await isWithin(page)
  const [nearer, farther] = ['Look nearer at the time cursor', 'Look less near'].map((name) => page.getByRole('button', { name }))
  if (!nearer || !farther) throw new Error('there are two')
  for (const button of [nearer, farther]) {
    const box = await button.boundingBox()
    expect(Math.min(box?.width ?? 0, box?.height ?? 0)).toBeGreaterThanOrEqual(44)
  }
  await nearer.tap()
  await expect(page.getByRole('button', { name: 'Whole period' })).toBeVisible()
  await isWithin(page)
  await farther.tap()
  await expect(page.getByRole('button', { name: 'Whole period' })).toHaveCount(0)
  for (const viewport of [{ width: 390, height: 844 }, { width: 720, height: 450 }]) {
    await page.setViewportSize(viewport)
    for (let at = 0; at < 3; at += 1) {
      const plot = plots.nth(at)
      // A chart that gets another size moves those below it.
      await expect(async () => {
        await plot.evaluate((one) => one.scrollIntoView({ block: 'center' }))
        await expect(plot).toBeInViewport({ ratio: 0.98, timeout: 1000 })
        const [box, strip] = [await plot.boundingBox(), await page.locator('footer').boundingBox()]
        if (!box || !strip) throw new Error('they have no place')
        expect(box.y + box.height).toBeLessThanOrEqual(strip.y + 1)
      }).toPass()
    }
    await expect(cursor(page)).toBeInViewport({ ratio: 0.98 })
  }
  expect(complaints).toEqual([])
  await context.close()
})

test('in the list of messages nothing moves under the pointer: what is new waits', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(9)}/raw?way=in`)
  const list = page.getByRole('listbox', { name: 'Messages' })
  const first = list.getByRole('option').first()
  await expect(first).toBeVisible()
  const count = Number(await first.getAttribute('aria-setsize'))
  await first.hover()
  await drive(9, 182)
  // A login and a record.
  const button = page.getByRole('button', { name: '2 new' })
  await expect(button).toBeVisible()
  expect(Number(await first.getAttribute('aria-setsize'))).toBe(count)
  await isAccessible(page)
  await button.click()
  await expect(first).toHaveAttribute('aria-setsize', String(count + 2))
  await page.getByRole('heading', { level: 1 }).hover()
  await drive(9, 183)
  await expect(first).toHaveAttribute('aria-setsize', String(count + 4))
  expect(complaints).toEqual([])
})

test('the next and the previous device are one key away, also where brackets take AltGr', async ({ page }) => {
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(0)}/raw`)
  await expect(page.getByRole('button', { name: 'Next device' })).toBeEnabled()
  const name = (await page.getByRole('heading', { level: 1 }).textContent()) ?? ''
  const press = (init: { key: string; ctrlKey?: boolean; altKey?: boolean; modifierAltGraph?: boolean }) => page.evaluate((keys) => document.body.dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, cancelable: true, ...keys })), init)
  // As Windows tells it, as a Mac does, and a command that is somebody else's.
  await press({ key: ']', ctrlKey: true, altKey: true, modifierAltGraph: true })
  await expect(page.getByRole('heading', { level: 1 })).not.toHaveText(name)
  await expect(page.getByRole('button', { name: 'Previous device' })).toBeEnabled()
  await press({ key: '[', ctrlKey: true })
  await press({ key: '[', altKey: true })
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name)
  await expect(page).toHaveTitle(`${name} · Odograph`)
})

test('where the script of a part does not arrive, it is said in its place, and tried again', async ({ page }) => {
  await signIn(page)
  await page.route(/\/assets\/(Chart|maplibre-gl)-[^/]*\.js$/, (route) => route.abort())
  const complaints = watch(page)
  await page.goto(`${site()}/devices/${truck(0)}?${lately()}`)
  const charts = page.getByRole('region', { name: 'Charts' })
  await expect(charts.getByRole('alert')).toContainText('The server cannot be reached')
  await expect(page.getByText('There is no map')).toBeVisible()
  // The browser itself says what did not come; nothing else broke.
  expect(complaints.filter((text) => !text.includes('ERR_FAILED'))).toEqual([])
  await page.unrouteAll()
  await charts.getByRole('button', { name: 'Try again' }).click()
  await expect(page.locator('.u-over').first()).toBeVisible()
  await expect(page.locator('.maplibregl-canvas')).toBeVisible()
})
