// How far apart records are that belong together: in a period, and where the device is parked.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gapOf, isDriving, PARKED_MS, pausesOf } from '../../src/state/gap'

const MINUTE = 60_000
const at = (...minutes: number[]) => minutes.map((minute) => minute * MINUTE)

test('a gap is six times the usual distance, ten minutes at least, and never shorter than it is told', () => {
  assert.equal(gapOf(at(0, 1, 2, 3)), 10 * MINUTE)
  assert.equal(gapOf(at(0, 5, 10, 15)), 30 * MINUTE)
  assert.deepEqual([gapOf([]), gapOf(at(0, 500))], [10 * MINUTE, 10 * MINUTE])
  assert.deepEqual([gapOf(at(0, 1, 2, 3), 45 * MINUTE), gapOf(at(0, 10, 20, 30), 45 * MINUTE), gapOf([], 45 * MINUTE)], [45 * MINUTE, 60 * MINUTE, 45 * MINUTE])
})

test('what drives is what the server says that it moves', () => {
  const drives = (speed: number, ignition?: boolean) => isDriving({ 'position.speed': speed, 'engine.ignition.status': ignition })
  assert.deepEqual([drives(3.9), drives(4), drives(9.9, false), drives(10, false), drives(4, true)], [false, true, false, true, true])
  assert.deepEqual([isDriving({}), isDriving({ 'movement.status': false, 'engine.ignition.status': true }), isDriving({ 'engine.ignition.status': true })], [undefined, false, true])
})

test('while it is parked the next record may come after 65 minutes, and values of several records are joined over as long', () => {
  const gap = 10 * MINUTE
  const [parked, driving] = [{ 'position.speed': 0, 'engine.ignition.status': false }, { 'position.speed': 50, 'engine.ignition.status': true }]
  const { most, clock } = pausesOf([driving, parked, { 'temperature.1': 4 }, parked, driving], at(0, 1, 2, 66, 67), gap)
  assert.deepEqual(most, [gap, PARKED_MS, PARKED_MS, PARKED_MS, gap])
  const between = (from: number, to: number) => (clock[to] ?? 0) - (clock[from] ?? 0)
  assert.equal(between(0, 1), MINUTE)
  assert.ok(between(1, 3) <= gap, `${between(1, 3)}`)
  assert.ok(between(0, 3) > gap, `${between(0, 3)}`)
  // A gap that is longer than that is so everywhere, and one of another length is another question.
  const records = [parked, parked]
  assert.deepEqual(pausesOf(records, at(0, 120), 3 * PARKED_MS), { gap: 3 * PARKED_MS, most: [3 * PARKED_MS, 3 * PARKED_MS], clock: at(0, 120) })
  assert.equal(pausesOf(records, at(0, 120), gap).most[0], PARKED_MS)
})

test('in a part that is whole pauses are as long as they are there, and at its edges as far as they lie within', () => {
  const whole = { from: 10 * MINUTE, to: 50 * MINUTE, gap: 10 * MINUTE }
  const pauses = (...times: number[]) => pausesOf(times.map(() => ({})), at(...times), 40 * MINUTE, whole)
  const { most, clock } = pauses(0, 10, 15, 45, 48, 90)
  assert.deepEqual(most, at(40, 10, 10, 10, 40, 40))
  // By the clock that measures pauses, the silence of half an hour is longer than the gap.
  assert.deepEqual(clock, at(0, 10, 30, 150, 162, 204))
  assert.deepEqual(pauses(0, 15, 30, 80).most, at(40, 10, 10, 40))
  assert.deepEqual(pauses(0, 25).most, at(10, 10))
})
