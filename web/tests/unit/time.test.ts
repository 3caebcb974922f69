// Days, weeks and how moments are written, where clocks are turned: these tests are in Berlin.
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { period } from '../../src/state/period'
import { settings } from '../../src/state/settings.svelte'
import { addDays, dayOf, duration, HOUR, MINUTE, momentOf, offset, span, startOf, wallOf, written } from '../../src/state/time'

const TODAY = '2026-06-15'

beforeEach(() => {
  settings.zone = 'local'
})

test('a day begins at midnight of the zone, also where its clocks are turned', () => {
  assert.equal(new Date(startOf('2026-07-01')).toISOString(), '2026-06-30T22:00:00.000Z')
  const hours = (day: string) => (startOf(addDays(day, 1)) - startOf(day)) / HOUR
  assert.deepEqual(['2026-03-28', '2026-03-29', '2026-10-25', '2026-10-26'].map(hours), [24, 23, 25, 24])
})

test('another zone has other days', () => {
  const moment = Date.UTC(2026, 0, 31, 23, 30)
  assert.equal(dayOf(moment), '2026-02-01')
  settings.zone = 'UTC'
  assert.equal(dayOf(moment), '2026-01-31')
  settings.zone = 'Asia/Kolkata'
  assert.equal(offset(moment), 5.5 * HOUR)
})

test('days are counted over the ends of months and years', () => {
  assert.deepEqual([addDays('2026-12-31', 1), addDays('2028-02-28', 1), addDays('2026-01-01', -1)], ['2027-01-01', '2028-02-29', '2025-12-31'])
})

test('how long ago is one unit, how long it took are two', () => {
  assert.deepEqual([span(-5), span(59_999), span(59 * MINUTE), span(47 * HOUR), span(49 * HOUR)], ['0 s', '59 s', '59 min', '47 h', '2 d'])
  assert.deepEqual([duration(40 * MINUTE), duration(2 * HOUR), duration(80 * MINUTE)], ['40 min', '2 h', '1 h 20 min'])
})

test('the hour after midnight is 00, not 24', () => {
  assert.equal(written(Date.UTC(2026, 0, 1, 23, 5), 'clock'), '00:05')
})

test('a moment is written as fields have it, and read from there, also where clocks are turned', () => {
  assert.equal(wallOf(Date.UTC(2026, 6, 1, 8, 4, 46)), '2026-07-01T10:04:46')
  assert.equal(momentOf('2026-07-01T10:04'), Date.UTC(2026, 6, 1, 8, 4))
  for (const moment of ['2026-03-29T00:30:00Z', '2026-03-29T01:30:00Z', '2026-10-24T23:30:00Z', '2026-10-25T02:30:00Z'].map(Date.parse)) assert.equal(momentOf(wallOf(moment)), moment)
  assert.ok(Number.isNaN(momentOf('soon')))
})

test('a day, the week that ends with it, and a range, as the address says them', () => {
  const day = period({ day: '2026-03-29' }, TODAY)
  assert.deepEqual([day.kind, (day.to - day.from) / HOUR], ['day', 23])
  const week = period({ day: '2026-03-29', span: 'week' }, TODAY)
  assert.deepEqual([week.kind, week.day, week.last, (week.to - week.from) / HOUR], ['week', '2026-03-23', '2026-03-29', 7 * 24 - 1])
  const range = period({ from: '2026-05-01', to: '2026-05-03', span: 'range' }, TODAY)
  assert.deepEqual([range.kind, (range.to - range.from) / HOUR], ['range', 72])
})

test('without a day it is that of the cursor, or of the part that is looked at', () => {
  const last = (query: Record<string, string>) => period(query, TODAY).last
  // After midnight, in Berlin.
  assert.equal(last({ t: '2026-06-13T22:30:00.000Z' }), '2026-06-14')
  const [from, to] = ['2026-06-10T08:00:00Z', '2026-06-10T09:00:00Z'].map(Date.parse)
  assert.equal(last({ zoom: `${from},${to}` }), '2026-06-10')
  assert.equal(last({ t: '2026-06-03T10:00:00Z', span: 'week' }), '2026-06-03')
  // The day of whoever sent a link is not that of its moment here.
  assert.equal(last({ day: '2026-06-01', t: '2026-06-10T10:00:00Z' }), '2026-06-10')
  assert.equal(last({ day: '2026-06-01', t: '2026-06-01T22:00:00Z' }), '2026-06-01')
  assert.equal(last({ day: '2026-06-05', span: 'week', t: '2026-05-30T10:00:00Z' }), '2026-06-05')
  assert.equal(last({ day: '2026-06-05', zoom: '' }), '2026-06-05')
  // The end of today, what is to come, and what is no moment.
  const others: Record<string, string>[] = [{ t: '2026-06-15T22:00:00.000Z' }, { t: '2027-01-01T00:00:00Z' }, { t: 'soon' }, { zoom: '1e99,2' }, { zoom: '' }]
  for (const query of others) assert.equal(last(query), TODAY)
})

test('a link says its period by the millisecond: it is the same in every zone, and a day or a week where it is one', () => {
  const link = (first: string, last: string) => ({ from: String(startOf(first)), to: String(startOf(addDays(last, 1))) })
  const [day, week] = [link('2026-06-10', '2026-06-10'), link('2026-06-04', '2026-06-10')]
  const { kind, last, from, to } = period(day, TODAY)
  assert.deepEqual([kind, last, String(from), String(to)], ['day', '2026-06-10', day.from, day.to])
  assert.deepEqual([period(week, TODAY).kind, period(week, TODAY).last], ['week', '2026-06-10'])
  settings.zone = 'Asia/Kolkata'
  const there = period(day, TODAY)
  assert.deepEqual([there.kind, there.day, there.last, there.from, there.to], ['range', '2026-06-10', '2026-06-11', from, to])
  // One of the two may be chosen anew.
  assert.equal(period({ ...day, to: '2026-06-12' }, TODAY).to, startOf('2026-06-13'))
  assert.equal(period({ ...day, to: '99999999999999' }, TODAY).to, startOf(addDays('2026-06-10', 93)))
  assert.equal(period({ from: day.to, to: day.from }, TODAY).last, TODAY)
})

test('a period is moved by its own length, and none ends behind today', () => {
  const range = period({ from: '2026-06-08', to: '2026-06-12' }, TODAY)
  assert.deepEqual(period.moved(range, -1, TODAY), { from: '2026-06-03', to: '2026-06-07' })
  assert.deepEqual(period.moved(range, 1, TODAY), { from: '2026-06-11', to: TODAY })
  // Two days of 47 hours.
  assert.deepEqual(period.moved(period({ from: '2026-03-28', to: '2026-03-29' }, TODAY), 1, TODAY), { from: '2026-03-30', to: '2026-03-31' })
  const week = period({ day: '2026-06-10', span: 'week' }, TODAY)
  assert.deepEqual([period.moved(week, -1, TODAY), period.moved(week, 1, TODAY)], [{ day: '2026-06-03' }, { day: undefined }])
})

test('what is no day is today', () => {
  const asked: Record<string, string>[] = [{}, { day: 'yesterday' }, { from: '2026-05-03', to: '2026-05-01' }]
  for (const query of asked) assert.equal(period(query, TODAY).day, TODAY)
})
