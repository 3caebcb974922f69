// The first view asks for what it shows before its larger scripts are here, and for nothing twice.
import { expect, test, type Page } from '@playwright/test'
import { signIn, site } from './people'
import { PASSWORD } from './server'

const [SESSION, GROUPS, DEVICES] = ['/api/v1/sessions/current', '/api/v1/groups', '/api/v1/devices?order=name&limit=100&count=true']

/** How often the page asks for these. */
function counted(page: Page): () => number[] {
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url().slice(site().length)))
  return () => [SESSION, GROUPS, DEVICES].map((one) => asked.filter((address) => address === one).length)
}
const rows = (page: Page) => page.getByRole('listbox', { name: 'Devices' }).getByRole('option')

test('a fleet asks once for each thing, and another page for no devices', async ({ page }) => {
  await signIn(page)
  const counts = counted(page)
  await page.goto(site())
  await expect(rows(page).first()).toBeVisible()
  expect(counts()).toEqual([1, 1, 1])
  const elsewhere = counted(page)
  await page.goto(`${site()}/settings`)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  expect(elsewhere()).toEqual([1, 0, 0])
})

test('whoever is not signed in is told so once, and sees the fleet once signed in', async ({ page }) => {
  const counts = counted(page)
  await page.goto(site())
  const password = page.getByLabel('Password', { exact: true })
  await expect(password).toBeVisible()
  expect(counts()).toEqual([1, 0, 0])
  await page.getByLabel('Login').fill('admin')
  await password.fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(rows(page).first()).toBeVisible()
  expect(counts()).toEqual([1, 1, 1])
})
