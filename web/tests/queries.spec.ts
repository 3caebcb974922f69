// Saved queries: what a browser has kept is moved to the server once, and who made one is who changes it.
import { expect, test, type Page } from '@playwright/test'
import { isAccessible, signIn, site, watch } from './people'
import { PASSWORD } from './server'

const editor = (page: Page) => page.getByRole('textbox', { name: 'Query' })
/** The menu of saved queries, open. */
async function saved(page: Page) {
  const menu = page.locator('details').filter({ has: page.locator('summary', { hasText: /^Saved$/ }) })
  if ((await menu.getAttribute('open')) === null) await menu.locator('summary').click()
  return menu
}
async function saveAs(page: Page, name: string) {
  await (await saved(page)).getByRole('button', { name: 'Save as…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Save the query' })
  await expect(dialog.getByLabel('Name of the query')).toBeFocused()
  await dialog.getByLabel('Name of the query').fill(name)
  await page.keyboard.press('Enter')
  return dialog
}

test('queries that a browser has kept are moved once, and those of others are not in their way', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const made = await page.request.post(`${site()}/api/v1/queries`, { data: { name: 'Cold', sql: 'SELECT 7 AS seven' } })
  expect(made.status()).toBe(201)
  await page.goto(`${site()}/settings`)
  await page.evaluate(() => localStorage.setItem('odograph.queries', JSON.stringify({ Cold: 'SELECT 1 AS one', Kept: 'SELECT 2 AS two' })))
  await page.goto(`${site()}/sql`)
  const offer = page.getByText('2 queries are kept in this browser alone')
  await expect(offer).toBeVisible()
  await isAccessible(page)
  await page.getByRole('button', { name: 'Save for everyone here' }).click()
  await expect(offer).toHaveCount(0)
  const names = (await saved(page)).locator('.saved .name')
  await expect(names).toHaveText(['Cold', 'Cold (admin)', 'Kept'])
  await isAccessible(page)
  await page.reload()
  await expect(editor(page)).toBeVisible()
  await expect((await saved(page)).locator('.saved .name')).toHaveText(['Cold', 'Cold (admin)', 'Kept'])
  await expect(offer).toHaveCount(0)
  expect(await page.evaluate(() => localStorage.getItem('odograph.queries'))).toBe('{}')
  await page.setViewportSize({ width: 390, height: 844 })
  for (const label of ['Examples', 'Saved', 'Export']) {
    await page.locator('summary', { hasText: label }).click()
    // It is put where there is room for it once the browser has said that it is open.
    await expect
      .poll(async () => {
        const box = await page.locator('details[open] .menu').boundingBox()
        return box && box.x >= 0 && box.x + box.width <= 390 ? 'on the screen' : `${label}: ${JSON.stringify(box)}`
      })
      .toBe('on the screen')
  }
  expect(complaints).toEqual([])
})

test('a query is saved, changed, called otherwise, and removed by who made it', async ({ page, browser }) => {
  const complaints = watch(page)
  await signIn(page)
  const login = 'asks'
  const user = await page.request.post(`${site()}/api/v1/users`, { data: { login, role: 'viewer', password: PASSWORD } })
  expect(user.status()).toBe(201)
  await page.goto(`${site()}/sql`)
  await editor(page).fill('SELECT 11 AS eleven')
  await expect(await saveAs(page, 'Eleven')).toHaveCount(0)
  const open = page.locator('.open')
  await expect(open).toHaveText('Eleven')
  await editor(page).fill('SELECT 12 AS twelve')
  await expect(open).toContainText('changed')
  await (await saved(page)).getByRole('button', { name: 'Save the changes' }).click()
  await expect(open).toHaveText('Eleven')
  expect(complaints).toEqual([])
  // A name that is taken is said where it was typed, and what was typed stays.
  const dialog = await saveAs(page, 'Eleven')
  await expect(dialog.getByRole('alert')).toContainText('there is a query Eleven already')
  await expect(dialog.getByLabel('Name of the query')).toHaveValue('Eleven')
  await isAccessible(page)
  await page.keyboard.press('Escape')
  await (await saved(page)).getByRole('button', { name: 'Rename…' }).click()
  await page.getByRole('dialog', { name: 'Rename the query' }).getByLabel('Name of the query').fill('Twelve')
  await page.keyboard.press('Enter')
  await expect(open).toHaveText('Twelve')

  // Somebody who only looks runs it, cannot change it, and has their own.
  const other = await (await browser.newContext()).newPage()
  expect((await other.request.post(`${site()}/api/v1/sessions`, { data: { login, password: PASSWORD } })).status()).toBe(201)
  await other.goto(`${site()}/sql`)
  const menu = await saved(other)
  await menu.getByRole('link', { name: 'Twelve admin' }).click()
  await expect(editor(other)).toHaveValue('SELECT 12 AS twelve')
  await editor(other).press('Control+Enter')
  await expect(other.getByRole('cell', { name: '12', exact: true })).toBeVisible()
  await editor(other).fill('SELECT 13 AS thirteen')
  await saved(other)
  await expect(menu.getByRole('button', { name: 'Save as…' })).toBeVisible()
  await expect(menu.getByRole('button', { name: 'Remove Twelve' })).toHaveCount(0)
  await expect(menu.getByRole('button', { name: 'Save the changes' })).toHaveCount(0)
  await expect(await saveAs(other, 'Thirteen')).toHaveCount(0)
  await saved(other)
  await menu.getByRole('button', { name: 'Remove Thirteen' }).click()
  await menu.getByRole('button', { name: 'Remove Thirteen for everyone: press once more' }).press('Enter')
  await expect(menu.getByRole('link', { name: 'Thirteen' })).toHaveCount(0)
  await other.context().close()

  await page.reload()
  await (await saved(page)).getByRole('button', { name: 'Remove Twelve' }).click()
  await page.getByRole('button', { name: 'Remove Twelve for everyone: press once more' }).click()
  await expect(page.getByRole('link', { name: 'Twelve admin' })).toHaveCount(0)
})
