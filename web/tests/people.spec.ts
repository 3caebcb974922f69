// Who looks: one after another in the same browser, in tenants, with what each of them typed and gave out.
import { expect, test, type Page } from '@playwright/test'
import { isAccessible, signIn, site, truck, watch } from './people'
import { PASSWORD, TRUCKS } from './server'
import { lately } from './stored'

async function signInByHand(page: Page, login: string): Promise<void> {
  await page.getByLabel('Login').fill(login)
  await page.getByLabel('Password').fill(PASSWORD)
  await page.keyboard.press('Enter')
}
const rows = (page: Page) => page.getByRole('listbox', { name: 'Devices' }).getByRole('option')
const made = (answer: { status(): number }) => expect([200, 201]).toContain(answer.status())

test('whoever signs in next sees nothing of who was before, and is asked about in no other tenant', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  made(await page.request.post(`${site()}/api/v1/tenants`, { data: { id: 'other', name: 'Others' } }))
  made(await page.request.post(`${site()}/api/v1/users?tenant=other`, { data: { login: 'else', name: 'Somebody else', role: 'owner', password: PASSWORD } }))
  await page.goto(`${site()}/admin/tenants`)
  const tenant = page.getByRole('row').filter({ hasText: 'Others' })

  // A tenant that cannot be entered is not the one that is asked about.
  const isOther = /tenant=other/
  const looks = (url: URL) => url.pathname.endsWith('/sessions/current') && isOther.test(url.search)
  await page.route(looks, (route) => route.abort())
  await tenant.getByRole('button', { name: 'Enter' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await page.unroute(looks)
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  page.on('websocket', (socket) => asked.push(socket.url()))
  await page.getByRole('link', { name: 'Fleet' }).click()
  await expect(page.getByText(`${TRUCKS} devices`)).toBeVisible()
  expect(asked.filter((url) => isOther.test(url))).toEqual([])

  // One that is entered has devices of its own: none yet, and what a tracker needs to become one.
  await page.getByRole('link', { name: 'Administration' }).click()
  await page.getByRole('link', { name: 'Tenants' }).click()
  await tenant.getByRole('button', { name: 'Enter' }).click()
  await expect(tenant).toContainText('Shown now')
  await page.getByRole('link', { name: 'Fleet' }).click()
  await expect(page.getByRole('heading', { name: 'No device has sent anything yet' })).toBeVisible()
  await isAccessible(page)
  await page.getByRole('link', { name: 'Settings' }).click()
  await page.getByRole('button', { name: 'Sign out' }).click()
  // To sign out is asked of the tenant where one is.
  await expect(page.getByLabel('Login')).toBeVisible()

  asked.splice(0)
  await signInByHand(page, 'admin')
  await page.getByRole('link', { name: 'Fleet' }).click()
  await expect(page.getByText(`${TRUCKS} devices`)).toBeVisible()
  expect(asked.filter((url) => isOther.test(url))).toEqual([])
  await page.getByRole('link', { name: 'Settings' }).click()
  await page.getByRole('button', { name: 'Sign out' }).click()

  await signInByHand(page, 'else')
  await page.getByRole('link', { name: 'Fleet' }).click()
  await expect(page.getByRole('heading', { name: 'No device has sent anything yet' })).toBeVisible()
  await expect(rows(page)).toHaveCount(0)
  await expect(page.getByText(truck(1))).toHaveCount(0)
  // The browser says what the test kept from it, when it has time.
  expect(complaints.filter((text) => !text.includes('ERR_FAILED'))).toEqual([])
})

test('a session that ends while one looks leads to signing in, and back to where one was', async ({ page, request }) => {
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(1)}?${lately()}`)
  await expect(page.locator('.u-over').first()).toBeVisible()
  // Somebody ends it elsewhere; then the line breaks.
  const [cookie] = await page.context().cookies()
  if (!cookie) throw new Error('there is no session')
  const ended = await request.delete(`${site()}/api/v1/sessions/current`, { headers: { Cookie: `${cookie.name}=${cookie.value}`, 'Sec-Fetch-Site': 'same-origin' } })
  expect(ended.ok()).toBe(true)
  await expect(page.getByText('The session has ended')).toBeVisible({ timeout: 90_000 })
  await signInByHand(page, 'admin')
  await expect(page.getByRole('heading', { name: truck(1) })).toBeVisible()
})

test('a decision about a device keeps what was typed, and saving it takes all of it', async ({ page }) => {
  await signIn(page)
  await page.goto(`${site()}/devices/${truck(6)}/settings`)
  await page.getByLabel('Remarks').fill('left at the yard')
  await page.getByRole('button', { name: 'Accept' }).click()
  await expect(page.locator('.decision')).toContainText('accepted')
  await expect(page.getByLabel('Remarks')).toHaveValue('left at the yard')
  await expect(page.getByText('Saved')).toHaveCount(0)
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Saved')).toBeVisible()
  const device = (await (await page.request.get(`${site()}/api/v1/devices/${truck(6)}`)).json()) as { notes: string; state: string }
  expect([device.notes, device.state]).toEqual(['left at the yard', 'accepted'])
})

test('a token is good until its last day ends', async ({ page }) => {
  await signIn(page)
  await page.goto(`${site()}/admin/tokens`)
  await page.getByRole('button', { name: 'New token' }).click()
  await page.getByLabel('Name').fill('until the end')
  await page.getByLabel('Until').fill('2030-03-31')
  await page.getByRole('button', { name: 'Create' }).click()
  await expect(page.getByRole('row').filter({ hasText: 'until the end' })).toContainText('31 Mar 2030')
  const tokens = (await (await page.request.get(`${site()}/api/v1/tokens`)).json()) as { name: string; expires: number }[]
  // Midnight in Berlin, where the clocks were turned that morning.
  expect(new Date(tokens.find(({ name }) => name === 'until the end')?.expires ?? 0).toISOString()).toBe('2030-03-31T22:00:00.000Z')
})

test('the address is written before a page is left, and the table follows after its own row was clicked', async ({ page }) => {
  await signIn(page)
  await page.goto(site())
  await expect(rows(page).first()).toBeVisible()
  // As fast as nobody types: the address is not written yet.
  await page.evaluate((text) => {
    const search = document.querySelector<HTMLInputElement>('input[type="search"]')
    if (search) search.value = text
    search?.dispatchEvent(new Event('input', { bubbles: true }))
    document.querySelector<HTMLAnchorElement>('nav a[href="/system"]')?.click()
  }, truck(2).slice(-4))
  await expect(page.getByRole('heading', { name: 'System' })).toBeVisible()
  await page.goBack()
  await expect(page.getByRole('searchbox')).toHaveValue(truck(2).slice(-4))
  await page.goto(`${site()}/devices/${truck(2)}/table?${lately()}`)
  const table = page.getByRole('region', { name: 'Records' })
  await expect(table.locator('tr.current')).toBeVisible()
  await table.locator('tr.current').click()
  await page.getByRole('slider', { name: 'Time cursor' }).focus()
  const scrolled = () => table.evaluate((box) => box.scrollTop)
  await expect.poll(scrolled).toBeGreaterThan(0)
  await page.keyboard.press('Home')
  await expect.poll(scrolled).toBe(0)
})

test('there is a page for what is not there, and everything is fit for weak eyes in the dark', async ({ browser }) => {
  test.slow()
  const desktop = await browser.newContext({ colorScheme: 'dark' })
  const page = await desktop.newPage()
  const complaints = watch(page)
  await signIn(page)
  for (const path of ['/nowhere', '/', `/devices/${truck(1)}`, `/devices/${truck(1)}/table`, `/devices/${truck(1)}/raw`, `/devices/${truck(4)}/commands`, `/devices/${truck(1)}/settings`, '/system', '/admin/users', '/sql']) {
    await page.goto(site() + path)
    await expect(page.getByRole('navigation', { name: 'Pages' })).toBeVisible()
    await page.waitForLoadState('networkidle').catch(() => undefined)
    if (path === '/nowhere') await expect(page.getByRole('heading', { name: 'There is no such page' })).toBeVisible()
    await isAccessible(page)
  }
  expect(complaints).toEqual([])
  await desktop.close()
})
