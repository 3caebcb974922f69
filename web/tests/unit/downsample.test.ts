// Fewer points for a chart, with each peak and each gap.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { downsample, isolated } from '../../src/charts/downsample'
import { pausesOf } from '../../src/state/gap'

const range = (count: number) => Array.from({ length: count }, (_, at) => at)
const GAP = 10

test('few points are all there', () => {
  const { times, series } = downsample([0, 1, 2], [[5, 6, 7]], [0, 2], 100, GAP)
  assert.deepEqual([times, series], [[0, 1, 2], [[5, 6, 7]]])
})

test('nothing is made of nothing', () => {
  assert.deepEqual(downsample([], [[]], [0, 10], 100, GAP), { times: [], series: [[]] })
})

test('of many points few are left, the highest and the lowest of each series among them', () => {
  const times = range(100_000)
  const [warm, cold] = [times.map((at) => Math.sin(at / 900)), times.map((at) => Math.cos(at / 700))]
  warm[77_777] = 99
  cold[12_345] = -99
  const out = downsample(times, [warm, cold], [0, 99_999], 500, GAP)
  assert.ok(out.times.length <= 500 * 6 + 2, `${out.times.length} points are left`)
  assert.equal(out.series[0]?.[out.times.indexOf(77_777)], 99)
  assert.equal(out.series[1]?.[out.times.indexOf(12_345)], -99)
  assert.deepEqual(out.times, [...out.times].sort((a, b) => a - b))
})

test('a gap between records stays, and so do both its edges', () => {
  const times = [...range(5000), ...range(5000).map((at) => at + 6000)]
  const out = downsample(times, [times.map((at) => at % 7)], [0, 11_000], 50, GAP)
  const hole = out.series[0]?.indexOf(null) ?? -1
  assert.ok(hole > 0)
  assert.deepEqual([out.times[hole - 1], out.times[hole + 1]], [4999, 6000])
})

test('a series that pauses has a gap of its own, and the other one has none', () => {
  const times = range(40)
  const paused = times.map((at) => (at > 10 && at < 30 ? undefined : 1))
  const out = downsample(times, [paused, times.map(() => 2)], [0, 39], 100, GAP)
  assert.equal(out.series[0]?.filter((value) => value === null).length, 1)
  assert.ok(!out.series[1]?.includes(null))
})

test('values that come now and then are joined, not torn', () => {
  const times = range(30)
  const out = downsample(times, [times.map((at) => (at % 5 === 0 ? at : undefined))], [0, 29], 100, GAP)
  assert.ok(!out.series[0]?.includes(null))
})

test('one point more stands on each side of what is looked at, so that lines run to the edge', () => {
  const { times } = downsample(range(100), [range(100)], [40, 60], 1000, GAP)
  assert.deepEqual([times[0], times.at(-1)], [39, 61])
})

test('while it is parked an hour is no gap, and while it drives it is', () => {
  const HOUR = 3_600_000
  const times = range(6).map((at) => at * HOUR)
  const check = (speed: number, gaps: number) => {
    const { clock } = pausesOf(times.map(() => ({ 'position.speed': speed })), times, HOUR / 6)
    for (const pieces of [1, 100]) {
      const { series } = downsample(times, [times.map(() => -20)], [0, 5 * HOUR], pieces, HOUR / 6, clock)
      assert.equal(series[0]?.filter((value) => value === null).length, gaps)
      assert.equal(isolated(series[0] ?? []).length, gaps === 0 ? 0 : times.length)
    }
  }
  check(0, 0)
  check(60, 5)
})

test('a value stands alone where no line leads to it', () => {
  assert.deepEqual(isolated([1, null, 2, 3, null, undefined, 4]), [0, 6])
  assert.deepEqual(isolated([1, undefined, 2]), [])
  assert.deepEqual([isolated([5]), isolated([null, undefined]), isolated([])], [[0], [], []])
})
