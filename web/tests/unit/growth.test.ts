// How fast storage grows, and when it is full.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { daysLeft, growth } from '../../src/state/growth'

const day = (date: number, bytes: number | null) => ({ day: `2026-05-${String(date).padStart(2, '0')}`, bytes })

test('growth is that of the days that are known, in whichever order they come', () => {
  assert.equal(growth([day(3, 300), day(1, 100), day(2, null)]), 100)
  assert.equal(growth([day(1, 500), day(3, 300)]), -100)
})

test('one day alone has no growth, and neither has none', () => {
  assert.equal(growth([day(1, 100)]), undefined)
  assert.equal(growth([day(1, null), day(2, null)]), undefined)
  assert.equal(growth([]), undefined)
})

test('what was long ago does not count', () => {
  assert.equal(growth([day(1, 0), day(20, 1000), day(30, 2000)]), 100)
})

test('what does not grow is never full, what has no end is not, and what is over is full now', () => {
  assert.equal(daysLeft(100, 1000, 100), 9)
  assert.deepEqual([daysLeft(100, null, 100), daysLeft(100, 1000, 0), daysLeft(100, 1000, -5), daysLeft(100, 1000, undefined)], [undefined, undefined, undefined, undefined])
  assert.equal(daysLeft(2000, 1000, 100), 0)
})
