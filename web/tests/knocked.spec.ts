// Who knocked is listed as they come, and nothing moves there while somebody points.
import { expect, test } from '@playwright/test'
import { isAccessible, signIn, site, watch } from './people'
import { knock } from './server'
import { isWithin } from './within'

test('where nothing has come yet, who knocks shows by itself', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const made = await page.request.post(`${site()}/api/v1/tenants`, { data: { id: 'quiet', name: 'Where it is quiet' } })
  expect([201, 409]).toContain(made.status())
  await page.goto(`${site()}/admin/tenants`)
  const tenant = page.getByRole('row').filter({ hasText: 'Where it is quiet' })
  await tenant.getByRole('button', { name: 'Enter' }).click()
  await expect(tenant).toContainText('Shown now')
  await page.getByRole('link', { name: 'Fleet' }).click()
  await expect(page.getByRole('heading', { name: 'Who has knocked' })).toBeVisible()
  const row = page.getByRole('row').filter({ hasText: 'is this the right door' })
  await expect(row).toHaveCount(0)
  await knock('is this the right door\r\n')
  await expect(row).toBeVisible()
  await isAccessible(page)
  await page.setViewportSize({ width: 390, height: 844 })
  await expect(row).toBeVisible()
  await isWithin(page)
  await page.getByRole('link', { name: /^What has knocked/ }).click()
  await expect(page.getByRole('heading', { name: 'Unidentified' })).toBeVisible()
  await expect(row).toBeVisible()
  expect(complaints).toEqual([])
})

/** As the server tells of somebody. */
const stray = (id: number, text: string) => ({
  id, first: new Date().toISOString(), last: new Date().toISOString(), peer: `192.0.2.${id}:50122`, local: '0.0.0.0:5000', transport: 'tcp', why: 'undecided', protocol: null,
  device: null, is: null, could_be: [], guesses: [], ruled_out: null, bytes: text.length, pieces: 1, hex: Buffer.from(text).toString('hex'), text, named: []
})

test('who comes while somebody points at the list waits, and none comes below a dialog', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  let all = [stray(2, 'second'), stray(1, 'first')]
  let asked = 0
  await page.route(/\/api\/v1\/unidentified\?/, (route) => {
    asked += 1
    return route.fulfill({ json: all })
  })
  await page.clock.install()
  /** So long later, as far as the page knows. */
  const later = () => page.clock.fastForward(6000)
  await page.goto(`${site()}/unidentified`)
  const said = page.locator('td.bytes code')
  await expect(said).toHaveText(['second', 'first'])

  await said.last().hover()
  all = [stray(3, 'third'), ...all]
  await later()
  const more = page.getByRole('button', { name: '1 new' })
  await expect(more).toBeVisible()
  await expect(said, 'nothing moves').toHaveText(['second', 'first'])
  await more.click()
  await expect(said).toHaveText(['third', 'second', 'first'])
  await expect(more).toHaveCount(0)

  // The pointer is elsewhere now.
  all = [stray(4, 'fourth'), ...all]
  await later()
  await expect(said).toHaveText(['fourth', 'third', 'second', 'first'])
  // So is whoever goes through the list by the keyboard.
  await page.getByRole('button', { name: 'Name…' }).first().focus()
  all = [stray(5, 'fifth'), ...all]
  await later()
  await expect(more).toBeVisible()
  await page.getByRole('button', { name: 'Look again' }).focus()
  await later()
  await expect(said.first()).toHaveText('fifth')

  await page.getByRole('row').filter({ hasText: 'second' }).getByRole('button', { name: 'Name…' }).click()
  await expect(page.getByRole('dialog')).toBeVisible()
  const before = asked
  await later()
  await later()
  expect(asked, 'nobody asks behind a dialog').toBe(before)
  expect(complaints).toEqual([])
})
