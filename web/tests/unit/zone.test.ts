// Days and times by the clocks where a vehicle is: these tests look at it from Berlin.
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { period } from '../../src/state/period'
import { settings } from '../../src/state/settings.svelte'
import { addDays, dayOf, HOUR, MINUTE, startOf, ticks, written } from '../../src/state/time'
import { atVehicle, vehicleZone, zone } from '../../src/state/zone.svelte'

const TODAY = '2026-06-15'
const iso = (ms: number) => new Date(ms).toISOString()
const hours = (day: string) => (startOf(addDays(day, 1)) - startOf(day)) / HOUR

/** Somebody looks at a vehicle that is there, and wants its times. */
function at(name: string): void {
  settings.times = 'vehicle'
  atVehicle(name)
}

beforeEach(() => {
  Object.assign(settings, { zone: 'local', times: 'mine' })
  atVehicle('')
})

test('times are the vehicle’s on its own page, and only if one wants them so and it has a zone', () => {
  const leave = atVehicle('America/New_York')
  assert.deepEqual([zone(), vehicleZone()], ['Europe/Berlin', ''])
  settings.times = 'vehicle'
  assert.deepEqual([zone(), vehicleZone()], ['America/New_York', 'America/New_York'])
  leave()
  assert.deepEqual([zone(), vehicleZone()], ['Europe/Berlin', ''])
  atVehicle(undefined)
  settings.zone = 'Asia/Kolkata'
  assert.deepEqual([zone(), vehicleZone()], ['Asia/Kolkata', ''])
})

test('a zone that this browser does not know is none', () => {
  at('Mars/Olympus_Mons')
  assert.equal(zone(), 'Europe/Berlin')
})

test('a day begins at the vehicle’s midnight, and has 23 or 25 hours where its own clocks are turned', () => {
  at('America/New_York')
  assert.equal(iso(period({ day: '2026-07-01' }, TODAY).from), '2026-07-01T04:00:00.000Z')
  assert.deepEqual(['2026-03-07', '2026-03-08', '2026-11-01', '2026-11-02'].map(hours), [24, 23, 25, 24])
  // Those of whoever looks are turned on other days.
  assert.deepEqual(['2026-03-29', '2026-10-25'].map(hours), [24, 24])
  const week = period({ day: '2026-11-03', span: 'week' }, TODAY)
  assert.deepEqual([week.day, (week.to - week.from) / HOUR], ['2026-10-28', 7 * 24 + 1])
  const range = period({ from: '2026-03-08', to: '2026-03-09' }, TODAY)
  assert.deepEqual([iso(range.from), iso(range.to)], ['2026-03-08T05:00:00.000Z', '2026-03-10T04:00:00.000Z'])
})

test('a day begins with its first moment, wherever clocks are turned at midnight', () => {
  const begins: readonly (readonly [string, string, string])[] = [
    // Forward at 00:00, west and east of Greenwich.
    ['America/Havana', '2026-03-08', '2026-03-08T05:00:00.000Z'],
    ['America/Santiago', '2026-09-06', '2026-09-06T04:00:00.000Z'],
    ['Atlantic/Azores', '2026-03-29', '2026-03-29T01:00:00.000Z'],
    ['Asia/Beirut', '2026-03-29', '2026-03-28T22:00:00.000Z'],
    // Back to 00:00: the first of the two.
    ['Asia/Amman', '2021-10-29', '2021-10-28T21:00:00.000Z'],
  ]
  for (const [zone, day, moment] of begins) {
    at(zone)
    assert.equal(iso(startOf(day)), moment, zone)
    assert.deepEqual([dayOf(startOf(day) - 1), dayOf(startOf(day))], [addDays(day, -1), day], zone)
  }
})

test('clocks that are turned at midnight leave no day out', () => {
  at('Africa/Cairo')
  assert.deepEqual(['2026-04-23', '2026-04-24', '2026-04-25'].map(hours), [24, 23, 24])
  assert.equal(written(startOf('2026-04-24'), 'clock'), '01:00')
  at('America/Santiago')
  assert.deepEqual(['2026-04-03', '2026-04-04', '2026-04-05'].map(hours), [24, 25, 24])
  for (const day of ['2026-04-04', '2026-04-05']) assert.equal(dayOf(startOf(day)), day)
  at('Australia/Lord_Howe')
  assert.deepEqual(['2026-04-05', '2026-10-04'].map(hours), [24.5, 23.5])
})

test('the same moment is another day there', () => {
  const moment = Date.UTC(2026, 0, 31, 2, 5)
  assert.deepEqual([dayOf(moment), written(moment, 'clock')], ['2026-01-31', '03:05'])
  at('America/New_York')
  assert.deepEqual([dayOf(moment), written(moment, 'clock')], ['2026-01-30', '21:05'])
  assert.match(written(moment, 'full'), /^30 Jan 2026, 21:05:00 /)
  assert.deepEqual(period.at(moment).day, '2026-01-30')
})

test('the strip has its marks at whole hours, also behind the turn of the clocks', () => {
  const clocks = (day: string, step: number) => ticks(startOf(day), startOf(addDays(day, 1)), step).map((one) => written(one, 'clock'))
  at('America/New_York')
  const usual = ['00:00', '03:00', '06:00', '09:00', '12:00', '15:00', '18:00', '21:00', '00:00']
  for (const day of ['2026-03-07', '2026-03-08', '2026-11-01']) assert.deepEqual(clocks(day, 3 * HOUR), usual, day)
  for (const day of ['2026-03-08', '2026-11-01']) assert.deepEqual(clocks(day, 12 * HOUR), ['00:00', '12:00', '00:00'], day)
  // What is twice is shown twice, and what is not is not.
  assert.deepEqual(clocks('2026-11-01', HOUR).slice(0, 4), ['00:00', '01:00', '01:00', '02:00'])
  assert.deepEqual(clocks('2026-03-08', HOUR).slice(0, 4), ['00:00', '01:00', '03:00', '04:00'])
  const part = ticks(startOf('2026-03-08') + 40 * MINUTE, startOf('2026-03-08') + 6 * HOUR, 6 * HOUR)
  assert.deepEqual(part.map((one) => written(one, 'clock')), ['06:00'])
  at('Asia/Kathmandu')
  assert.deepEqual(clocks('2026-03-08', 12 * HOUR), ['00:00', '12:00', '00:00'])
  const days = ticks(startOf('2026-03-08'), startOf('2026-03-11'), 24 * HOUR).map(dayOf)
  assert.deepEqual(days, ['2026-03-08', '2026-03-09', '2026-03-10', '2026-03-11'])
  const weeks = ticks(startOf('2026-03-20'), startOf('2026-04-10'), 7 * 24 * HOUR).map(dayOf)
  assert.deepEqual(weeks, ['2026-03-20', '2026-03-27', '2026-04-03', '2026-04-10'])
})
