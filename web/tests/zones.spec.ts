// Times by the clocks where a vehicle is: on its own pages, for whoever wants them so, and nowhere else.
import { expect, test } from '@playwright/test'
import { isAccessible, signIn, site, truck, watch } from './people'

const ZONE = 'Asia/Kathmandu'
const OFFSET = '+05:45'
const HOUR = 3_600_000

test('who wants the vehicle’s times reads its days by its own clocks, and those of others by theirs', async ({ page }) => {
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(9)}/settings`)
  const field = page.getByRole('combobox', { name: /^Time zone/ })
  await field.fill('Kathmandu')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByRole('alert')).toContainText('Europe/Berlin')
  await expect(field).toHaveValue('Kathmandu')
  await field.fill(ZONE.toLowerCase())
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Saved')).toBeVisible()
  await expect(field).toHaveValue(ZONE)
  await isAccessible(page)

  const complaints = watch(page)
  const cursor = page.getByRole('slider', { name: 'Time cursor' })
  await page.goto(`${site()}/devices/${truck(9)}`)
  await expect(cursor).toHaveAttribute('aria-valuetext', /GMT\+[12]$|CES?T$/)
  await expect(page.getByText(ZONE)).toHaveCount(0)

  await page.goto(`${site()}/settings`)
  await page.getByRole('radio', { name: 'In the vehicle’s, if it has one' }).check()
  await isAccessible(page)
  const asked = new Set<string>()
  page.on('request', (request) => {
    const { pathname, searchParams } = new URL(request.url())
    // What comes while one looks is asked for behind the newest record.
    if (pathname.endsWith('/records') && searchParams.get('to')) asked.add(`${searchParams.get('to')}`)
  })
  await page.goto(`${site()}/devices/${truck(9)}`)
  await expect(cursor).toHaveAttribute('aria-valuetext', /GMT\+5:45$/)
  const there = new Intl.DateTimeFormat('en-CA', { timeZone: ZONE, year: 'numeric', month: '2-digit', day: '2-digit' }).format(Date.now())
  const midnight = Date.parse(`${there}T00:00:00${OFFSET}`)
  await expect(cursor).toHaveAttribute('aria-valuemin', String(midnight))
  await expect(cursor).toHaveAttribute('aria-valuemax', String(midnight + 24 * HOUR))
  // The day of whoever looks was never asked for.
  expect([...asked]).toEqual([String(midnight + 24 * HOUR)])
  await expect(page.getByText(ZONE)).toBeVisible()
  await isAccessible(page)
  await page.getByRole('link', { name: 'Table' }).click()
  await expect(page.getByRole('columnheader', { name: `Time ${ZONE}` })).toBeVisible()
  await page.getByRole('link', { name: 'Raw' }).click()
  await expect(page.getByText(ZONE)).toBeVisible()

  // One without a zone, and pages of none.
  await page.goto(`${site()}/devices/${truck(8)}`)
  await expect(cursor).toHaveAttribute('aria-valuetext', /GMT\+[12]$|CES?T$/)
  await expect(page.getByText(ZONE)).toHaveCount(0)
  expect(complaints).toEqual([])
  const taken = await page.request.patch(`${site()}/api/v1/devices/${truck(9)}`, { data: { time_zone: '' } })
  expect(taken.status()).toBe(200)
})
