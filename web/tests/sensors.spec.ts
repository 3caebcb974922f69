// Sensors of a device: written, tried, seen where records are seen, and taken away.
import { readFileSync } from 'node:fs'
import { expect, test } from '@playwright/test'
import { isAccessible, signIn, site, truck, watch } from './people'
import { lately } from './stored'

test('a calibration table is pasted, drawn, tried and saved, and charts, table and export have what it shows', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const device = `${site()}/api/v1/devices/${truck(5)}`
  // The tabs keep the period.
  await page.goto(`${site()}/devices/${truck(5)}/settings?${lately()}`)
  await expect(page.getByText('It has none yet.')).toBeVisible()
  await page.getByRole('button', { name: 'New sensor' }).click()
  const form = page.getByRole('form', { name: 'New sensor' })
  await form.getByLabel('Name').fill('2nd tank')
  await form.getByLabel('Unit').fill('l')
  await form.getByLabel('Parameter').fill('position.altitude')

  // What cannot be is said in place, and nothing is sent.
  await form.getByRole('button', { name: 'Save' }).click()
  await expect(form.getByRole('alert').filter({ hasText: 'begins with a letter' })).toBeVisible()
  await expect(form.getByRole('alert').filter({ hasText: 'two points at least' })).toBeVisible()
  await form.getByLabel('Name').fill('tank')

  // As a spreadsheet of a place with decimal commas copies it, in the wrong order.
  const paste = (text: string) => form.getByLabel('Point 1, what the device says').evaluate((cell, pasted) => {
    const data = new DataTransfer()
    data.setData('text/plain', pasted)
    cell.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
  }, text)
  await paste('raw\tlitres\r\n500\t125,5\r\n300\t0\r\n400\t80\r\nnone\r\n')
  await expect(form.getByText('3 points were pasted. 1 line has no two numbers.')).toBeVisible()
  await expect(form.getByRole('alert').filter({ hasText: 'Point 2 does not come behind' })).toBeVisible()
  await form.getByRole('button', { name: 'Put in order' }).click()
  await expect(form.getByLabel('Point 1, what the device says')).toHaveValue('300')
  await expect(form.getByLabel('Point 3, what the sensor shows')).toHaveValue('125.5')
  await expect(form.getByRole('img', { name: 'Curve through 3 points' })).toBeVisible()
  // The trucks of the tests are 400 m high.
  await expect(form.getByText('position.altitude = 400')).toBeVisible()
  await expect(form.getByRole('status').filter({ hasText: 'Now 80.0 l' })).toBeVisible()
  await isAccessible(page)
  await form.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Saved: tank.')).toBeVisible()
  await expect(page.getByRole('row').filter({ hasText: 'position.altitude, 3 points' })).toContainText('80.0 l')
  const kept = (await (await page.request.get(`${device}/sensors/tank`)).json()) as { calibration: unknown; unit: string }
  expect(kept.calibration).toEqual({ parameter: 'position.altitude', points: [[300, 0], [400, 80], [500, 125.5]], beyond: 'clamp' })
  expect(kept.unit).toBe('l')

  await page.getByRole('link', { name: 'Day', exact: true }).click()
  await expect(page.getByRole('region', { name: /\btank\b/ })).toContainText('80.0')
  await page.getByText('Export', { exact: true }).click()
  const [csv] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'CSV, a table' }).click()])
  const [heading = '', first = ''] = readFileSync(await csv.path(), 'utf8').split('\n')
  expect(heading).toMatch(/,sensor_tank$/)
  expect(first).toMatch(/,80\.0$/)
  // Formats for maps have no sensors, and are had all the same.
  await page.getByText('Export', { exact: true }).click()
  const [gpx] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'GPX, the track' }).click()])
  expect(readFileSync(await gpx.path(), 'utf8')).toContain('<trkpt')
  await page.getByRole('link', { name: 'Table' }).click()
  await expect(page.getByRole('columnheader', { name: /^sensor\.tank ?l$/ })).toBeVisible()
  await expect(page.getByRole('cell', { name: '80.0', exact: true }).first()).toBeVisible()
  expect(complaints).toEqual([])
})

test('a formula says where it is wrong, is renamed, and deleted', async ({ page }) => {
  await signIn(page)
  const device = `${site()}/api/v1/devices/${truck(6)}`
  await page.request.put(`${device}/sensors/other`, { data: { formula: '1' } })
  await page.goto(`${site()}/devices/${truck(6)}/settings?sensor=%2B`)
  const form = page.getByRole('form', { name: 'New sensor' })
  await form.getByLabel('Name').fill('other')
  await form.getByRole('radio', { name: 'Formula' }).check()
  await form.getByLabel('Formula, in CEL').fill('value("position.altitude") + altitude')
  await expect(form.getByRole('alert')).toContainText('line 1, column 30')
  // What only may be wrong is told beside what it shows.
  await form.getByLabel('Formula, in CEL').fill('value("position.altitude") > 9000 ? 0 / 0 : value("position.altitude")')
  await expect(form.getByRole('list', { name: 'What may be wrong' })).toContainText('divides by 0')
  await form.getByLabel('Formula, in CEL').fill('value("position.altitude") * 3.28084')
  await form.getByLabel('Unit').fill('ft')
  await expect(form.getByRole('status').filter({ hasText: 'Now 1312.34 ft' })).toBeVisible()
  await form.getByRole('button', { name: 'Save' }).click()
  await expect(form.getByRole('alert')).toContainText('Another sensor of this device has the name')
  await form.getByLabel('Name').fill('height')
  await form.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Saved: height.')).toBeVisible()

  await page.getByRole('button', { name: 'Change height' }).click()
  await expect.poll(() => new URL(page.url()).searchParams.get('sensor')).toBe('height')
  await page.reload()
  const change = page.getByRole('form', { name: 'Change height' })
  await expect(change.getByLabel('Formula, in CEL')).toHaveValue('value("position.altitude") * 3.28084')
  await change.getByLabel('Name').fill('height.ft')
  await isAccessible(page)
  await change.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Saved: height.ft.')).toBeVisible()
  const names = async () => ((await (await page.request.get(`${device}/sensors`)).json()) as { name: string }[]).map(({ name }) => name)
  expect(await names()).toEqual(['height.ft', 'other'])
  await page.getByRole('button', { name: 'Change height.ft' }).click()
  await page.getByRole('button', { name: 'Delete this sensor' }).click()
  await page.getByRole('button', { name: 'Delete height.ft' }).click()
  await expect(page.getByText('Deleted: height.ft')).toBeVisible()
  expect(await names()).toEqual(['other'])
})

test('sensors are written on a phone in the dark, and whoever may not change them sees them', async ({ browser, page }) => {
  await signIn(page)
  const device = `${site()}/api/v1/devices/${truck(7)}`
  await page.request.put(`${device}/sensors/tank`, { data: { unit: 'l', calibration: { parameter: 'position.altitude', points: [[0, 0], [500, 250]] } } })
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true })
  const phone = await context.newPage()
  const complaints = watch(phone)
  await signIn(phone)
  await phone.goto(`${site()}/devices/${truck(7)}/settings?sensor=tank`)
  await expect(phone.getByRole('img', { name: 'Curve through 2 points' })).toBeVisible()
  await phone.getByRole('button', { name: 'Add 400, what it says now' }).click()
  await expect(phone.getByLabel('Point 2, what the sensor shows')).toBeFocused()
  await expect
    .poll(async () => {
      const form = await phone.getByRole('form', { name: 'Change tank' }).boundingBox()
      return form && form.x >= 0 && form.x + form.width <= 390 ? 'on the screen' : JSON.stringify(form)
    })
    .toBe('on the screen')
  await isAccessible(phone)
  expect(complaints).toEqual([])
  await context.close()

  await page.request.post(`${site()}/api/v1/users`, { data: { login: 'looker', password: 'only ever looks', role: 'viewer' } })
  const viewer = await browser.newContext()
  const theirs = await viewer.newPage()
  await theirs.request.post(`${site()}/api/v1/sessions`, { data: { login: 'looker', password: 'only ever looks' } })
  await theirs.goto(`${site()}/devices/${truck(7)}/settings?sensor=tank`)
  await expect(theirs.getByRole('img', { name: 'Curve through 2 points' })).toBeVisible()
  await expect(theirs.getByRole('button', { name: 'New sensor' })).toBeDisabled()
  await expect(theirs.getByRole('form', { name: 'Change tank' }).getByRole('button', { name: 'Save' })).toBeDisabled()
  await viewer.close()
})
