// Trends: of the value that is shown, by its own times, for as long as it is shown.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FIRST, type Said } from '../../src/state/reading'
import { Trends } from '../../src/state/trend'

const MINUTE = 60_000
/** What a device says at a minute; the value may be of an earlier one. */
const said = (minute: number, value: number, of = minute, name = 'temperature.1'): Said => ({
  values: { [name]: value }, times: of === minute ? {} : { [name]: of * MINUTE }, time: new Date(minute * MINUTE).toISOString()
})
function heard(...those: Said[]) {
  const trends = new Trends()
  trends.watch(FIRST)
  for (const one of those) trends.hear('1', one)
  return trends.of('1')
}

test('two values that are five minutes apart have a trend', () => {
  assert.deepEqual([heard(said(0, -20)), heard(said(0, -20), said(4, -15)), heard(said(0, -20), said(5, -19)), heard(said(0, -20), said(5, -21)), heard(said(0, -20), said(5, -20.2))], [undefined, undefined, 'up', 'down', 'level'])
})

test('what warms slowly rises nevertheless, and what stays as it is for half an hour is steady again', () => {
  const slow = [0, 5, 10, 15].map((minute) => said(minute, 4 + minute * 0.03))
  assert.deepEqual([1, 2, 3, 4].map((count) => heard(...slow.slice(0, count))), [undefined, 'level', 'level', 'up'])
  // It goes on rising while the next third of a degree comes together.
  assert.equal(heard(...slow, said(20, 4.6), said(25, 4.74)), 'up')
  assert.deepEqual([30, 44, 45].map((minute) => heard(...slow, said(minute, 4.5))), ['up', 'up', 'level'])
})

test('whoever comes back to the list finds its trends there, and another value has its own', () => {
  const trends = new Trends()
  trends.watch(FIRST)
  trends.hear('1', said(0, -20))
  trends.watch(FIRST)
  trends.hear('1', said(6, -18))
  trends.watch(FIRST)
  assert.equal(trends.of('1'), 'up')
  trends.watch('fuel.level')
  assert.equal(trends.of('1'), undefined)
})

test('a value that is said once and told again is one', () => {
  assert.equal(heard(said(0, -20), said(10, -20, 0)), undefined)
  // It is of its own time, not of the record that it is told with.
  assert.equal(heard(said(10, -20, 0), said(12, -18)), 'up')
})

test('another probe, and a clock that was ahead, have nothing to be compared with', () => {
  assert.equal(heard(said(0, -20, 0, 'temperature.2'), said(10, 4)), undefined)
  assert.equal(heard(said(100, -20), said(10, 4)), undefined)
})
