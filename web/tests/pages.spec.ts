// Each page, as people use it, against the real server; and each without what keeps anybody out.
import { readFileSync } from 'node:fs'
import { expect, test, type Locator } from '@playwright/test'
import { isAccessible, signIn, site, truck, watch } from './people'
import { call, drive, PASSWORD, TRUCKS } from './server'
import { lately } from './stored'
import { isWithin } from './within'

/** Where something is now. */
async function placeOf(locator: Locator) {
  const box = await locator.boundingBox()
  if (!box) throw new Error('it has no place')
  return box
}

test('signing in keeps what was typed, says what is wrong, and leads to the fleet', async ({ page }) => {
  const complaints = watch(page)
  await page.goto(site())
  await expect(page.getByLabel('Login')).toBeFocused()
  await page.getByLabel('Login').fill('admin')
  await page.getByLabel('Password').fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await expect(page.getByLabel('Login')).toHaveValue('admin')
  await isAccessible(page)
  await page.getByLabel('Password').fill(PASSWORD)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('listbox', { name: 'Devices' })).toBeVisible()
  expect(complaints).toEqual([])
})

test('the fleet is a list and a map, found by typing, by state, and by the keyboard', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  // An alarm is shown for a quarter of an hour, and other tests may have taken longer.
  await drive(3, 181)
  await page.goto(site())
  const rows = page.getByRole('listbox', { name: 'Devices' }).getByRole('option')
  await expect(page.getByText(`${TRUCKS} devices`)).toBeVisible()
  await expect(rows.first()).toContainText('°C')
  await expect(page.locator('.maplibregl-canvas')).toBeVisible()
  await isAccessible(page)
  await page.getByRole('button', { name: /alarm: show only these/ }).click()
  await expect(rows).toHaveCount(1)
  await expect(rows).toContainText(truck(3))
  await expect(rows).toContainText('SOS button')
  expect(new URL(page.url()).pathname).toBe('/')
  await expect.poll(() => new URL(page.url()).searchParams.get('state')).toBe('alarm')
  await page.getByRole('button', { name: /alarm: show only these/ }).click()
  await page.keyboard.press('/')
  await page.keyboard.type(truck(7).slice(-4))
  await expect(rows).toHaveCount(1)
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: truck(7) })).toBeVisible()
  expect(complaints).toEqual([])
})

test('a device has one cursor over map, charts and strip, and a link shows the same', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(1)}?${lately()}`)
  const cursor = page.getByRole('slider', { name: 'Time cursor' })
  await expect(page.locator('.u-over').first()).toBeVisible()
  const end = Number(await cursor.getAttribute('aria-valuenow'))
  await cursor.focus()
  for (let step = 0; step < 5; step += 1) await page.keyboard.press('ArrowLeft')
  await expect(cursor).toHaveAttribute('aria-valuenow', String(end - 5 * 60_000))
  const chart = page.locator('.u-over').first()
  await expect.poll(() => new URL(page.url()).searchParams.get('t')).toBe(new Date(end - 5 * 60_000).toISOString())
  const link = page.url()
  // A chart is made anew when the units of its parameters are known: what was done to the one before is done again.
  await expect(async () => {
    const box = await placeOf(chart)
    await page.mouse.move(box.x + box.width * 0.1, box.y + box.height / 2)
    await expect(cursor).not.toHaveAttribute('aria-valuenow', String(end - 5 * 60_000), { timeout: 1000 })
  }).toPass()
  await isAccessible(page)
  await page.goto(link)
  await expect(cursor).toHaveAttribute('aria-valuenow', String(end - 5 * 60_000))
  // Dragging over a chart shows that part, everywhere.
  await expect(async () => {
    const box = await placeOf(chart)
    await page.mouse.move(box.x + 40, box.y + 30)
    await page.mouse.down()
    await page.mouse.move(box.x + 240, box.y + 30, { steps: 4 })
    await page.mouse.up()
    await expect(page.getByRole('button', { name: 'Whole period' })).toBeVisible({ timeout: 1000 })
  }).toPass()
  await page.getByRole('link', { name: 'Table' }).click()
  await expect(page.getByRole('region', { name: 'Records' })).toBeVisible()
  await isAccessible(page)
  expect(complaints).toEqual([])
})

test('of a message, a field marks its bytes and a byte its field', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(2)}/raw?way=in`)
  await page.getByRole('listbox', { name: 'Messages' }).getByRole('option').first().click()
  const field = page.getByRole('row').filter({ hasText: 'longitude' }).first()
  await field.hover()
  await expect(page.locator('.bytes .marked').first()).toBeVisible()
  const marked = (await page.locator('.bytes .marked').allTextContents()).join('')
  await expect(field).toContainText(marked)
  await page.locator('.bytes [data-at="1"]').first().hover()
  await expect(page.locator('tr.current')).toContainText('type')
  await isAccessible(page)
  expect(complaints).toEqual([])
})

test('settings of a device are changed, and what is wrong is said in place', async ({ page }) => {
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(5)}/settings`)
  await page.getByLabel('Number plate').fill('UL AB 123')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Saved')).toBeVisible()
  await expect(page.getByRole('heading', { name: 'UL AB 123' })).toBeVisible()
  await page.getByLabel(/^Ids/).fill(`${truck(5)}\n${truck(6)}`)
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await expect(page.getByLabel(/^Ids/)).toHaveValue(`${truck(5)}\n${truck(6)}`)
  await isAccessible(page)
})

test('SQL answers, and says what is wrong with a query', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/sql?q=${encodeURIComponent('SELECT device, count(*) AS n FROM records GROUP BY device ORDER BY device')}`)
  await expect(page.getByText(`${TRUCKS} rows`)).toBeVisible()
  await expect(page.getByRole('cell', { name: truck(0) })).toBeVisible()
  await isAccessible(page)
  expect(complaints).toEqual([])
  await page.getByRole('textbox', { name: 'Query' }).fill('SELECT nothing FROM nowhere')
  await page.keyboard.press('Control+Enter')
  await expect(page.getByRole('alert')).toContainText('nowhere')
})

test('an answer with places is a map, one with times is a chart, and a link shows the same', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const asked = 'SELECT device, time, id, position_latitude AS lat, position_longitude AS lon, temperature_1 FROM records ORDER BY device, time LIMIT 600'
  await page.goto(`${site()}/sql?q=${encodeURIComponent(asked)}`)
  await expect(page.getByText('600 rows')).toBeVisible()
  const answer = await page.request.post(`${site()}/api/v1/sql`, { data: { sql: `SELECT cast(id AS varchar) AS id FROM (${asked})` } })
  const { id } = JSON.parse((await answer.text()).split('\n')[0] ?? '') as { id: string }
  // Ids have more digits than a number of JavaScript holds.
  await expect(page.getByRole('cell', { name: id, exact: true })).toBeVisible()
  await page.getByRole('button', { name: 'Chart' }).click()
  await expect(page.locator('.u-over')).toBeVisible()
  await isAccessible(page)
  await page.getByRole('button', { name: 'Map', exact: true }).click()
  await expect(page.getByText('600 places')).toBeVisible()
  const map = page.getByRole('region', { name: 'Map' })
  await expect(map.locator('.maplibregl-canvas')).toBeVisible()
  await isAccessible(page)
  await expect.poll(() => new URL(page.url()).searchParams.get('as')).toBe('map')
  await page.reload()
  await expect(map.locator('.maplibregl-canvas')).toBeVisible()
  expect(complaints).toEqual([])
})

test('a day and an answer become workbooks', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  for (const path of [`/devices/${truck(1)}?${lately()}`, `/sql?q=${encodeURIComponent('SELECT device, time, temperature_1 FROM records LIMIT 20')}`]) {
    await page.goto(site() + path)
    await page.getByText('Export', { exact: true }).click()
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Excel, a workbook' }).click()])
    expect(file.suggestedFilename()).toMatch(/\.xlsx$/)
    const bytes = readFileSync(await file.path())
    expect(bytes.subarray(0, 4).toString('latin1')).toBe('PK\u0003\u0004')
    await expect(page.getByRole('status').filter({ hasText: /A workbook of \d+ rows is made/ })).toBeVisible()
    await isAccessible(page)
  }
  expect(complaints).toEqual([])
})

test('who was not understood is there, and the system says that it is well', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/unidentified`)
  await expect(page.getByText('is anybody there')).toBeVisible()
  await isAccessible(page)
  await page.goto(`${site()}/system`)
  await expect(page.getByText('From socket to lake')).toBeVisible()
  await expect(page.getByText(/^[\d.]+ [KMGT]iB free of [\d.]+ [KMGT]iB$/)).toBeVisible()
  await expect(page.getByText(/^Catalog [\d.]+ [KM]iB$/)).toBeVisible()
  await expect(page.getByText(/^Version \d+\.\d+\.\d+, serving for/)).toBeVisible()
  await isAccessible(page)
  expect(complaints).toEqual([])
})

test('the keyboard reaches everything, and gets its focus back', async ({ page }) => {
  await signIn(page)
  await page.goto(`${site()}/settings`)
  await expect(page.getByRole('heading', { name: 'Account' })).toBeVisible()
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to the content' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('main')).toBeFocused()
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Keyboard' })).toBeVisible()
  await page.getByRole('button', { name: 'Close' }).press('Enter')
  await expect(page.getByRole('main')).toBeFocused()
  // Without a search of the page's own, everything is searched: devices, though nobody has looked at the fleet yet.
  await page.keyboard.press('/')
  await page.keyboard.type(truck(1))
  await expect(page.getByRole('option', { name: truck(1) })).toHaveAttribute('aria-selected', 'true')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: truck(1) })).toBeVisible()
  await page.goto(`${site()}/devices/${truck(1)}?${lately()}`)
  await expect(page.locator('.u-over').first()).toBeVisible()
  await page.keyboard.press('+')
  await expect(page.getByRole('button', { name: 'Whole period' })).toBeVisible()
  await page.keyboard.press('-')
  await expect(page.getByRole('button', { name: 'Whole period' })).toHaveCount(0)
  const menu = page.locator('summary', { hasText: 'Export' })
  await menu.focus()
  await page.keyboard.press('Enter')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  await expect(page.getByRole('button', { name: 'Excel, a workbook' })).toBeFocused()
  await page.keyboard.press('Escape')
  await expect(menu).toBeFocused()
  await expect(page.getByRole('button', { name: 'Excel, a workbook' })).toBeHidden()
})

test('a token is shown once, and revoked', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.goto(`${site()}/admin/tokens`)
  await page.getByRole('button', { name: 'New token' }).click()
  await page.getByLabel('Name').fill('reports')
  await page.getByRole('button', { name: 'Create' }).click()
  await expect(page.getByText(/^odo_/)).toBeVisible()
  await page.reload()
  await expect(page.getByRole('cell', { name: 'reports', exact: true })).toBeVisible()
  await expect(page.getByText(/^odo_/)).toHaveCount(0)
  await isAccessible(page)
  await page.getByRole('button', { name: 'Revoke' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
  await expect(page.getByText(/revoked/)).toBeVisible()
  for (const section of ['users', 'groups', 'tenants', 'listeners', 'use', 'links', 'audit']) {
    await page.goto(`${site()}/admin/${section}`)
    await expect(page.getByRole('table').first()).toBeVisible()
    await isAccessible(page)
  }
  await page.goto(`${site()}/settings`)
  await expect(page.getByRole('heading', { name: 'Account' })).toBeVisible()
  await isAccessible(page)
  expect(complaints).toEqual([])
})

test('a link shows a device to whoever has it, as it moves, until it is taken back', async ({ page, browser }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.request.patch(`${site()}/api/v1/devices/${truck(8)}`, { data: { name: 'Milk run', notes: 'for nobody else' } })
  await page.goto(`${site()}/devices/${truck(8)}`)
  await page.getByRole('button', { name: 'Share…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Share Milk run' })
  await dialog.getByLabel('Ends after').selectOption('8 h')
  await dialog.getByLabel('Way begins').selectOption('1 h ago')
  await dialog.getByRole('button', { name: 'Make a link' }).click()
  const link = (await dialog.locator('output').textContent()) ?? ''
  expect(link).toMatch(/\/share#odl_[\w-]{22}$/)
  await expect(dialog.getByRole('listitem')).toHaveCount(1)
  await isAccessible(page)

  // Somebody else's telephone.
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true })
  const guest = await context.newPage()
  const theirs = watch(guest)
  const answers: string[] = []
  guest.on('response', (answer) => {
    const path = new URL(answer.url()).pathname
    if (path.startsWith('/api/')) void answer.text().then((text) => answers.push(`${path} ${text}`), () => undefined)
  })
  await guest.goto(link)
  await expect(guest.getByRole('heading', { name: 'Milk run' })).toBeVisible()
  await expect(guest.getByText(/^Temperature 1 /)).toContainText('°C')
  await expect(guest.locator('.maplibregl-canvas')).toBeVisible()
  await expect(guest.getByText(/^until /)).toBeVisible()
  await isAccessible(guest)
  const place = guest.locator('header .quiet-text span').first()
  await expect(place).toHaveText(/\w/)
  const was = (await place.textContent()) ?? ''
  // The map stays while the device moves.
  await guest.locator('.maplibregl-canvas').evaluate((canvas) => (canvas.dataset.first = 'yes'))
  await drive(8, 300)
  await expect(place).not.toHaveText(was)
  await expect(guest.locator('.maplibregl-canvas[data-first]')).toBeVisible()
  await expect(guest.getByText(/^76 km\/h NE$/)).toBeVisible()
  await expect.poll(() => guest.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  await expect.poll(() => answers.length).toBeGreaterThan(1)
  for (const answer of answers) {
    expect(answer).toMatch(/^\/api\/v1\/shared/)
    expect(answer).not.toContain(truck(8))
    expect(answer).not.toContain('nobody else')
  }
  expect(theirs).toEqual([])

  await dialog.getByRole('button', { name: 'Revoke' }).click()
  await expect(dialog.getByRole('listitem')).toHaveCount(0)
  await expect(guest.getByRole('heading', { name: 'This link shows nothing any more' })).toBeVisible()
  await expect(guest.getByText('Milk run')).toHaveCount(0)
  await isAccessible(guest)

  // Another link in the same tab, where only what is behind the # differs.
  await page.request.patch(`${site()}/api/v1/devices/${truck(9)}`, { data: { name: 'Bread run' } })
  const other = (await (await page.request.post(`${site()}/api/v1/devices/${truck(9)}/shares`, { data: {} })).json()) as { path: string }
  await guest.goto(site() + other.path)
  await expect(guest.getByRole('heading', { name: 'Bread run' })).toBeVisible()

  // Owners see all of them, and take them back.
  await page.goto(`${site()}/admin/links`)
  const row = page.getByRole('row').filter({ hasText: truck(9) })
  await expect(row).toContainText('admin')
  await isAccessible(page)
  await row.getByRole('button', { name: 'Revoke' }).click()
  await expect(row).toHaveCount(0)
  await expect(guest.getByRole('heading', { name: 'This link shows nothing any more' })).toBeVisible()
  await context.close()
  expect(complaints).toEqual([])
})

test('a command is sent, and what became of it is shown', async ({ page }) => {
  await signIn(page)
  const complaints = watch(page)
  // Who has said nothing for a quarter of an hour was hung up on, and other tests may have taken longer.
  const socket = await call(4)
  await page.goto(`${site()}/devices/${truck(4)}/commands`)
  await expect(page.getByText('Here now')).toBeVisible()
  await page.getByLabel('Command').selectOption('message')
  await page.getByLabel('message', { exact: true }).fill('Call the office')
  await page.getByRole('button', { name: 'Send' }).click()
  const row = page.getByRole('row').filter({ hasText: 'Call the office' })
  await expect(row).toContainText('answered')
  await expect(row.locator('.outcome')).toHaveText('15 letters read')
  await isAccessible(page)
  socket.destroy()
  expect(complaints).toEqual([])
})

test('everything works on a phone, in the light and in the dark', async ({ browser }) => {
  test.slow()
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, colorScheme: 'light', hasTouch: true })
  const page = await context.newPage()
  const complaints = watch(page)
  await signIn(page)
  const device = ['day', 'raw', 'table', 'settings', 'commands'].map((tab) => `devices/${truck(tab === 'commands' ? 4 : 1)}/${tab}`)
  const admin = ['users', 'tokens', 'groups', 'tenants', 'listeners', 'use', 'links', 'audit'].map((section) => `admin/${section}`)
  let colorScheme: 'light' | 'dark' = 'light'
  for (const path of ['', ...device, 'nowhere', 'unidentified', 'sql', 'system', ...admin, 'settings']) {
    await page.goto(`${site()}/${path}`)
    await expect(page.getByRole('navigation', { name: 'Pages' })).toBeVisible()
    await page.waitForLoadState('networkidle').catch(() => undefined)
    await isWithin(page)
    await isAccessible(page)
    // While one looks, the system goes over to the other colours, in which the next page comes.
    colorScheme = colorScheme === 'light' ? 'dark' : 'light'
    await page.emulateMedia({ colorScheme })
    await expect(page.locator('html')).toHaveAttribute('data-theme', colorScheme)
    await isAccessible(page)
  }
  expect(complaints).toEqual([])
  await context.close()
})
