// The band around a set-point: how long the air was outside of it, in words, and how wide it is, by the keyboard.
import { once } from 'node:events'
import { expect, test } from '@playwright/test'
import { isAccessible, watch } from './people'
import { open, PASSWORD, serve, type Served } from './server'

const IMEI = '352093086403655'
const MINUTES = 360
/** When the first record is. */
let begun = 0
let served: Served

test.beforeAll(async () => {
  served = await serve('', ['teltonika'])
  begun = Math.floor(Date.now() / 60_000 - MINUTES) * 60_000
  const socket = await open(served.addresses.teltonika ?? '')
  const say = async (bytes: Buffer, expected: string) => {
    socket.write(bytes)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString('hex')).toBe(expected)
  }
  await say(Buffer.from(`000f${Buffer.from(IMEI).toString('hex')}`, 'hex'), '01')
  for (let minute = 0; minute < MINUTES; minute += 30) {
    const records = Array.from({ length: 30 }, (_, at) => record(minute + at))
    await say(packet(records), records.length.toString(16).padStart(8, '0'))
  }
  socket.destroy()
})
test.afterAll(() => served.stop())

/** The air of a minute: twice it was too warm, for 41 records and for 10. */
const isWarm = (minute: number) => (minute >= 60 && minute <= 100) || (minute >= 200 && minute < 210)

/** A record of Codec 8 Extended: time, priority, place, event, and four values of two bytes. */
function record(minute: number): Buffer {
  const tenths = (celsius: number) => Math.round(celsius * 10)
  const values: [number, number][] = [[10047, isWarm(minute) ? -16 : -20], [10048, -21.5], [10049, -20], [10050, -24]]
  const bytes = Buffer.alloc(8 + 1 + 15 + 2 + 2 + 2 + 2 + values.length * 4 + 2 + 2 + 2)
  bytes.writeBigUInt64BE(BigInt(begun + minute * 60_000), 0)
  bytes.writeInt32BE(253_032_000, 9)
  bytes.writeInt32BE(547_146_000, 13)
  bytes.writeUInt8(9, 21)
  bytes.writeUInt16BE(values.length, 26)
  bytes.writeUInt16BE(values.length, 30)
  values.forEach(([id, celsius], at) => {
    bytes.writeUInt16BE(id, 32 + at * 4)
    bytes.writeInt16BE(tenths(celsius), 34 + at * 4)
  })
  return bytes
}

function packet(records: Buffer[]): Buffer {
  const count = Buffer.from([records.length])
  const data = Buffer.concat([Buffer.from([0x8e]), count, ...records, count])
  const [head, tail] = [Buffer.alloc(8), Buffer.alloc(4)]
  head.writeUInt32BE(data.length, 4)
  // CRC-16/ARC.
  let sum = 0
  for (const byte of data) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >> 1) ^ 0xa001 : sum >> 1
  }
  tail.writeUInt32BE(sum)
  return Buffer.concat([head, data, tail])
}

test('a chart says how long the air was outside of the band, and remembers how wide somebody wants it', async ({ page }) => {
  const site = `http://${served.addresses.http}`
  expect((await page.request.get(site)).ok(), 'the server has the pages').toBe(true)
  await page.request.post(`${site}/api/v1/sessions`, { data: { login: 'admin', password: PASSWORD } })
  const complaints = watch(page)
  const day = new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/Berlin', year: 'numeric', month: '2-digit', day: '2-digit' })
  const clock = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', timeStyle: 'medium' })
  await page.goto(`${site}/devices/${IMEI}?from=${day.format(begun - 86_400_000)}&to=${day.format(begun + 86_400_000)}`)
  const charts = page.getByRole('region', { name: 'Charts' })
  const words = charts.getByRole('listitem').filter({ hasText: 'return air 1' })
  // The line crosses the edge halfway between two records.
  await expect(words).toContainText('return air 1 outside for 51 min of 5 h 59 min')
  const longest = words.getByRole('button', { name: /^longest 41 min from .*\d\d:\d\d$/ })
  await expect(longest).toBeVisible()
  await expect(charts.getByRole('listitem')).toHaveCount(1)
  await isAccessible(page)
  await longest.press('Enter')
  await expect(page.locator('footer .now > b')).toHaveText(clock.format(begun + 59.5 * 60_000))

  const menu = charts.locator('summary')
  await expect(menu).toHaveText('Set-point ±2.0 °C')
  await menu.press('Enter')
  await isAccessible(page)
  await page.keyboard.press('ArrowDown')
  await expect(page.getByRole('radio', { name: '±0.5 °C' })).toBeFocused()
  await page.getByRole('radio', { name: '±5.0 °C' }).press('Space')
  await expect(words).toContainText('return air 1 within for all of 5 h 59 min')
  await expect(menu).toHaveText('Set-point ±5.0 °C')
  await page.getByLabel('Other: ±').fill('3.5')
  await page.keyboard.press('Enter')
  await expect(menu).toHaveText('Set-point ±3.5 °C')
  await expect(words).toContainText('outside for 49 min')
  await page.keyboard.press('Escape')
  await expect(menu).toBeFocused()
  await page.reload()
  await expect(menu).toHaveText('Set-point ±3.5 °C')
  await expect(words).toContainText('outside for 49 min')
  await menu.press('Enter')
  await page.getByRole('radio', { name: 'No band' }).check()
  await expect(words).toHaveCount(0)
  await expect(menu).toHaveText('No band')
  expect(complaints).toEqual([])
})
