// How long a value was outside of its band, and for how long at most without a break.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outside } from '../../src/charts/outside'

const GAP = 10
const range = (count: number) => Array.from({ length: count }, (_, at) => at)

interface Case { times?: number[]; values: (number | undefined)[]; setPoints?: (number | undefined)[]; window?: [number, number]; tolerance?: number }
/** Known, outside, longest, and when the longest began. */
function check({ values, times = range(values.length), setPoints = values.map(() => 0), window = [times[0] ?? 0, times.at(-1) ?? 0], tolerance = 2 }: Case, expected: [number, number, number, number]) {
  const { knownMs, outsideMs, longestMs, longestFrom } = outside(times, values, setPoints, tolerance, window, GAP)
  const rounded = (those: number[]) => those.map((one) => Math.round(one * 1e6) / 1e6)
  assert.deepEqual(rounded([knownMs, outsideMs, longestMs, longestFrom]), rounded(expected))
}

test('what stays within is never outside, also where it touches the edge', () => {
  check({ values: [0, 2, -2, 1] }, [3, 0, 0, 0])
})

test('what is above or below is outside all the time', () => {
  check({ values: [3, 4, 3] }, [2, 2, 2, 0])
  check({ values: [-3, -4, -3] }, [2, 2, 2, 0])
})

test('a line is outside from where it crosses the edge', () => {
  // From 0 to 4 in one step: beyond 2 from its middle on.
  check({ values: [0, 4, 0] }, [2, 1, 1, 0.5])
  // It comes in on one side and leaves on the other: two stretches.
  check({ values: [4, -4] }, [1, 0.5, 0.25, 0])
  check({ values: [-6, 4] }, [1, 0.6, 0.4, 0])
})

test('the longest stretch is the one without a break', () => {
  check({ values: [3, 3, 0, 3, 3, 3, 3, 0, 3] }, [8, 5 + 1 / 3, 3 + 2 / 3, 2 + 2 / 3])
})

test('a set-point that is changed is another measure at just that moment, and a stretch goes on over it', () => {
  check({ values: [0, 0, 0, 0], setPoints: [0, 0, 5, 5] }, [3, 1, 1, 2])
  check({ values: [0, 0, 0, 0], setPoints: [5, 5, -5, -5] }, [3, 3, 3, 0])
})

test('a set-point that is said now and then holds in between, and values that come now and then are joined', () => {
  check({ values: range(11).map(() => 3), setPoints: range(11).map((at) => (at % 5 === 0 ? 0 : undefined)) }, [10, 10, 10, 0])
  check({ values: range(11).map((at) => (at % 5 === 0 ? 3 : undefined)) }, [10, 10, 10, 0])
  // Other records between the two: the line is one all the same.
  check({ values: [0, undefined, undefined, undefined, 4] }, [4, 2, 2, 2])
})

test('where either is not known, nothing is said', () => {
  check({ values: [], setPoints: [] }, [0, 0, 0, 0])
  check({ values: [9] }, [0, 0, 0, 0])
  check({ values: range(30).map(() => 9), setPoints: range(30).map((at) => (at < 5 || at > 20 ? 0 : undefined)) }, [4 + 8, 12, 8, 21])
  check({ values: range(30).map((at) => (at < 5 || at > 20 ? 9 : undefined)) }, [4 + 8, 12, 8, 21])
  check({ values: [9, 9, 9], setPoints: [undefined, undefined, undefined] }, [0, 0, 0, 0])
  // Set-points that ended before the values did.
  check({ values: [9, 9, 9], setPoints: [0, 0, undefined] }, [1, 1, 1, 0])
})

test('a gap between records ends a stretch, and one as long as a gap may be does not', () => {
  check({ times: [0, 1, 12, 13], values: [9, 9, 9, 9] }, [2, 2, 1, 0])
  check({ times: [0, 1, 11, 12], values: [9, 9, 9, 9] }, [12, 12, 12, 0])
})

test('only what is looked at counts, with the lines that run into it', () => {
  const values = range(100).map(() => 9)
  check({ values, window: [40, 60] }, [20, 20, 20, 40])
  check({ values, window: [40.5, 40.75] }, [0.25, 0.25, 0.25, 40.5])
  check({ values, window: [-50, 5] }, [5, 5, 5, 0])
  check({ values, window: [95, 500] }, [4, 4, 4, 95])
  check({ values: [0, 4], window: [0.75, 1] }, [0.25, 0.25, 0.25, 0.75])
  check({ values, window: [300, 400] }, [0, 0, 0, 300])
})

test('records of the same moment are no time', () => {
  check({ times: [0, 0, 1], values: [9, -9, 9] }, [1, 7 / 9, 7 / 18, 0])
})

test('a band of another width has another outside', () => {
  check({ values: [0, 4, 0], tolerance: 3 }, [2, 0.5, 0.5, 0.75])
})

test('a day of a record a second is no work', () => {
  let reads = 0
  const counted = (all: number[]) => new Proxy(all, {
    get(those, name) {
      reads += 1
      return Reflect.get(those, name)
    }
  })
  const [times, values] = [counted(range(120_000)), counted(range(120_000).map((at) => Math.sin(at / 900) * 4))]
  const { knownMs, outsideMs } = outside(times, values, range(120_000).map(() => 0), 2, [0, 119_999], GAP)
  assert.equal(knownMs, 119_999)
  // A sine is beyond half of its height for two thirds of the time.
  assert.ok(Math.abs(outsideMs / knownMs - 2 / 3) < 0.01, String(outsideMs / knownMs))
  // Each is read a few times, however many there are.
  assert.ok(reads < 30 * times.length, String(reads))
})

test('how long a pause is, is measured by the clock of pauses, and how long it was too warm by that of the wall', () => {
  const [times, clock] = [[0, 60, 120, 121], [0, 9, 18, 19]]
  const find = (by?: number[]) => {
    const { knownMs, outsideMs, longestMs } = outside(times, [9, 9, 9, 9], [0, 0, 0, 0], 2, [30, 121], GAP, by)
    return [knownMs, outsideMs, longestMs]
  }
  assert.deepEqual([find(clock), find()], [[91, 91, 91], [1, 1, 1]])
})
