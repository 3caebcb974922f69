// What tests of pages have in common.
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
  // What the map library draws is its own.
  const { violations } = await new AxeBuilder({ page }).exclude('.maplibregl-map').analyze()
  expect(violations.map(({ id, nodes }) => `${new URL(page.url()).pathname} ${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join('\n   ')}`)).toEqual([])
}

/** Fails on whatever the page complains about, and on each request that leaves this machine. */
export function watch(page: Page): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // Nobody has signed in yet; a server may have no commands.
    const isExpected = /\/(sessions|sessions\/current|commands\/types)$/.test(message.location().url)
    if (message.type() === 'error' && !isExpected) complaints.push(message.text())
  })
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url())
    if (!['127.0.0.1', 'localhost', ''].includes(hostname) && protocol !== 'data:') complaints.push(`asks ${request.url()}`)
  })
  return complaints
}

/** A device's record, as the server has it. */
export type Stored = { time: string } & Record<string, unknown>

/** Yesterday and today: whatever time it is, all that the fleet sent is of these two. */
export function lately(): string {
  const day = (ms: number) => new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin', year: 'numeric', month: '2-digit', day: '2-digit' }).format(ms)
  return `from=${day(Date.now() - 86_400_000)}&to=${day(Date.now())}`
}

export async function records(page: Page, device: string): Promise<Stored[]> {
  const answer = await page.request.get(`${site()}/api/v1/devices/${device}/records?limit=10000`)
  return ((await answer.json()) as { records: Stored[] }).records
}
