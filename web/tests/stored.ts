// What the server has of a device, to compare pages with.
import type { Page } from '@playwright/test'
import { site } from './people'

/** A device's record, as the server has it. */
export type Stored = { time: string } & Record<string, unknown>

/** Yesterday and today: whatever time it is, all that the fleet sent is of these two. */
export function lately(): string {
  const day = (ms: number) => new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin', year: 'numeric', month: '2-digit', day: '2-digit' }).format(ms)
  return `from=${day(Date.now() - 86_400_000)}&to=${day(Date.now())}`
}

/** All of a device's records: none, where nobody knows it yet. */
export async function records(page: Page, device: string): Promise<Stored[]> {
  const answer = await page.request.get(`${site()}/api/v1/devices/${device}/records?limit=10000`)
  return ((await answer.json()) as { records?: Stored[] }).records ?? []
}
