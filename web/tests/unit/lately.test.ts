// What the server kept of the last half an hour becomes lines, of the same that stands as a number beside them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gauges, lookedBack, meanMs, means, parse, rate, rates, sum, type Look } from '../../src/state/metrics'
import { OLDEST_S_MAX, unwell } from '../../src/state/unwell'

const number = (name: string, values: number[], labels: Record<string, string> = {}) => ({ name, labels, values })
const past = lookedBack({
  times: [10_000, 20_000, 30_000],
  numbers: [
    number('connections', [3, 4, 5]), number('frames_total', [100, 150, 10]), number('ack_seconds_sum', [1, 2, 2]), number('ack_seconds_count', [10, 20, 20]),
    number('opened_total', [1, 1, 31], { protocol: 'unidentified' })
  ]
})
const values = (line: { value: number }[]) => line.map(({ value }) => value)

test('lines are of what the server saw, at its times', () => {
  assert.deepEqual(gauges(past, 'connections'), [{ at: 10_000, value: 3 }, { at: 20_000, value: 4 }, { at: 30_000, value: 5 }])
  // A server that was started anew counts from nothing.
  assert.deepEqual(rates(past, 'frames_total'), [{ at: 20_000, value: 5 }, { at: 30_000, value: 0 }])
  assert.deepEqual(values(rates(past, 'opened_total', { protocol: 'unidentified' })), [0, 3])
  assert.deepEqual(values(means(past, 'ack_seconds')), [100, 0])
  assert.deepEqual([gauges([], 'connections'), rates([], 'frames_total'), means(past.slice(0, 1), 'ack_seconds')], [[], [], []])
  assert.deepEqual(lookedBack({ times: [], numbers: [number('connections', [])] }), [])
})

test('the last point of a line is the number', () => {
  const [before, now] = past.slice(0, 2) as [Look, Look]
  assert.equal(values(gauges(past, 'connections')).at(-1), sum((past.at(-1) as Look).metrics, 'connections'))
  assert.equal(values(rates([before, now], 'frames_total')).at(-1), rate(before, now, 'frames_total'))
  assert.equal(values(means([before, now], 'ack_seconds')).at(-1), meanMs(before, now, 'ack_seconds'))
})

test('rows that wait for longer than late ones do are told, unless it is told why', () => {
  const waits = (seconds: number, health = {}) =>
    unwell({ healthy: true, ready: true, parts: [], ...health }, [{ at: 0, metrics: parse(`odograph_lake_oldest_row_seconds ${seconds}`) }], []).map(({ text }) => text)
  assert.deepEqual(waits(OLDEST_S_MAX), [])
  const [told = '', ...more] = waits(OLDEST_S_MAX + 1)
  assert.match(told, /^Records have waited 20 min .*odograph doctor/)
  assert.deepEqual(more, [])
  assert.equal(waits(OLDEST_S_MAX + 1, { history_stuck: { seconds: 180, reason: 'no space' } }).length, 1)
})
