// A simulated fleet, which is another process that speaks as trackers do, is told what to do from the page. After those that count the fleet.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from '@playwright/test'
import { signIn, site, watch } from './people'
import { binary } from './server'

/** One device of each protocol, in this order, on the port of all protocols. */
const FLEET = ['simulate', '--devices', '2', '--protocol', 'teltonika,gt06', '--seed', '7']
/** They say something within seconds, and go by themselves, should nobody be left to end them. */
const RUN = ['--history', '0.001', '--interval', '10', '--standing-interval', '10', '--seconds', '600']
const END_MS = 10_000

interface Member {
  imei: string
  protocol: string
}
let fleet: ChildProcess | undefined
let said = ''
let members: Member[] = []

test.beforeAll(() => {
  const list = execFileSync(binary, [...FLEET, '--list', '--json'], { encoding: 'utf8' })
  members = list.trim().split('\n').map((line) => JSON.parse(line) as Member)
  const started = spawn(binary, [...FLEET, ...RUN, '--target', process.env.AUTO ?? ''], { stdio: ['ignore', 'ignore', 'pipe'] })
  started.stderr?.on('data', (text: Buffer) => (said += text.toString()))
  fleet = started
})
test.afterAll(async () => {
  if (!fleet?.pid || fleet.exitCode !== null || fleet.signalCode !== null) return
  const ended = once(fleet, 'exit')
  const timer = setTimeout(() => fleet?.kill('SIGKILL'), END_MS)
  fleet.kill('SIGTERM')
  await ended
  clearTimeout(timer)
})

for (const { protocol, type, answer } of [
  { protocol: 'teltonika', type: 'engineStop', answer: /^DOUTS are set: the engine is blocked$/ },
  { protocol: 'gt06', type: 'positionSingle', answer: /^GPS:1 Sat:\d+ Lat:-?\d+\.\d+ Long:-?\d+\.\d+ / }
]) {
  test(`${type} goes to a simulated device that speaks ${protocol}, and what it answers is shown`, async ({ page }) => {
    const { imei } = members.find((one) => one.protocol === protocol) ?? {}
    expect(imei, 'the fleet has a device of this protocol').toBeDefined()
    const complaints = watch(page)
    await signIn(page)
    // Where it does not come, what the fleet said stands beside what the server says.
    const here = async () => ({ said, ...((await (await page.request.get(`${site()}/api/v1/devices/${imei}/commands/types`)).json()) as object) })
    await expect.poll(here, { timeout: 60_000 }).toMatchObject({ protocol, connected: true })
    await page.goto(`${site()}/devices/${imei}/commands`)
    await expect(page.getByText('Here now: a command goes at once')).toBeVisible()
    await page.getByLabel('Command').selectOption(type)
    await page.getByRole('button', { name: 'Send' }).click()
    const row = page.getByRole('row').filter({ hasText: type })
    await expect(row.locator('.state')).toHaveText('✓ answered')
    await expect(row.locator('.outcome')).toHaveText(answer)
    expect(complaints).toEqual([])
  })
}
