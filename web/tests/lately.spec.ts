// Whoever opens the page of the system at night sees what was before, on a phone, too.
import { expect, test } from '@playwright/test'
import { isAccessible, signIn, site, watch } from './people'
import { isWithin } from './within'

test('the lines of the last half an hour are there at once, on a phone below each row', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const now = Date.now()
  await page.route(/\/api\/v1\/system\/lately$/, (route) => route.fulfill({ json: {
    times: [now - 1_800_000, now - 900_000, now],
    numbers: [{ name: 'odograph_connections', labels: {}, values: [10, 0, 5] }]
  } }))
  await page.goto(`${site()}/system`)
  const line = page.getByRole('img', { name: 'Connections, Last 30 minutes' })
  // From the left end to the right one, from the top to the bottom and half up again.
  const drawn = 'M0.0 2.0L80.0 24.0L160.0 13.0'
  for (const width of [1440, 390]) {
    await page.setViewportSize({ width, height: 844 })
    await expect(line).toHaveCount(1)
    await expect(line).toBeVisible()
    await expect(line.locator('path').last()).toHaveAttribute('d', drawn)
    await isWithin(page)
    await isAccessible(page)
  }
  expect(complaints).toEqual([])
})

test('how long the disk goes well is said as far as it is known', async ({ page }) => {
  await signIn(page)
  const disk = { free_bytes: 10 * 2 ** 30, total_bytes: 100 * 2 ** 30, watched_s: 3 * 3600, lost_bytes_per_day: null as number | null, days_left: null as number | null }
  await page.route(/\/api\/v1\/system$/, async (route) => {
    const system = (await (await route.fetch()).json()) as { installation: { journal: object } }
    const journal = { ...system.installation.journal, bytes_per_day: 2 ** 30 }
    await route.fulfill({ json: { ...system, installation: { ...system.installation, journal, disk } } })
  })
  await page.goto(`${site()}/system`)
  await expect(page.getByText('so far for 3 h')).toBeVisible()
  await expect(page.getByText('full in about 10 days by the journal’s growth alone')).toBeVisible()
  Object.assign(disk, { watched_s: 7 * 86_400, lost_bytes_per_day: 4 * 2 ** 30, days_left: 2 })
  await page.reload()
  await expect(page.getByText('4.0 GiB less a day')).toBeVisible()
  await expect(page.getByText('▲ full in 2 days at this rate')).toBeVisible()
  await expect(page.getByText('by the journal’s growth alone')).toHaveCount(0)
  Object.assign(disk, { lost_bytes_per_day: -1, days_left: null })
  await page.reload()
  await expect(page.getByText('it gets no fuller')).toBeVisible()
  await page.unrouteAll({ behavior: 'ignoreErrors' })
})
