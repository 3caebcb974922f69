// What the page of whoever keeps the server running says when something is wrong.
import { expect, test } from '@playwright/test'
import { isAccessible, signIn, site, watch } from './people'

test('where history is broken the system does not say that it is well, but what to do', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  await page.route(/\/healthz$/, async (route) => {
    const health = (await (await route.fetch()).json()) as object
    const history_broken = [{ tenant: 'north', table: 'records', why: 'its log is gone' }]
    await route.fulfill({ json: { ...health, history_broken, alarms: ['in other words'], alarm_codes: ['quota_near'] } })
  })
  await page.route(/\/api\/v1\/system$/, async (route) => {
    const system = (await (await route.fetch()).json()) as { installation: object }
    const troubles = [{ code: 'file_damaged', part: 'file', what: 'a.parquet: it is cut short' }, { code: 'moon_full', part: 'moon', what: 'it is full' }]
    await route.fulfill({ json: { ...system, installation: { ...system.installation, troubles } } })
  })
  await page.goto(`${site()}/system`)
  await expect(page.getByRole('status').filter({ hasText: 'Something is wrong' })).toBeVisible()
  await expect(page.getByText('A table of history cannot be opened')).toBeVisible()
  await expect(page.getByText('north records: its log is gone')).toBeVisible()
  await expect(page.getByText('A tenant comes near a quota')).toBeVisible()
  await expect(page.getByText('A file of history is damaged')).toBeVisible()
  await expect(page.getByText('file: a.parquet: it is cut short')).toBeVisible()
  await expect(page.getByText('moon: it is full'), 'what the page does not know is shown in the server’s words').toBeVisible()
  await isAccessible(page)
  // It looks again every few seconds.
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  expect(complaints).toEqual([])
})
