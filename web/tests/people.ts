// How tests are people: they sign in, look whether a page can be used by everyone, and hear it complain.
import AxeBuilder from '@axe-core/playwright'
import { expect, type Page } from '@playwright/test'
import { PASSWORD } from './server'

export const site = () => process.env.SITE ?? ''
export const truck = (n: number) => `35000000000${String(n).padStart(4, '0')}`

export async function signIn(page: Page): Promise<void> {
  const answer = await page.request.post(`${site()}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  expect(answer.status()).toBe(201)
}

/** Nothing that a screen reader, the keyboard or weak eyes would stumble over. */
export async function isAccessible(page: Page): Promise<void> {
  // A page that is still being drawn is looked at again.
  await expect(async () => {
    // What the map library draws is its own.
    const { violations } = await new AxeBuilder({ page }).exclude('.maplibregl-map').analyze()
    expect(violations.map(({ id, nodes }) => `${new URL(page.url()).pathname} ${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join('\n   ')}`)).toEqual([])
  }).toPass({ timeout: 60_000 })
}

/** Fails on whatever the page complains about, and on each request that leaves this machine. */
export function watch(page: Page): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // Nobody has signed in yet.
    const isExpected = /\/(sessions|sessions\/current)$/.test(message.location().url)
    if (message.type() === 'error' && !isExpected) complaints.push(message.text())
  })
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url())
    if (!['127.0.0.1', 'localhost', ''].includes(hostname) && protocol !== 'data:') complaints.push(`asks ${request.url()}`)
  })
  return complaints
}
