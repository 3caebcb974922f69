// The bands around set-points, from records to what is drawn.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bandsOf, dashOf, judgedOf, setPointOf, TOLERANCE_K, TOLERANCE_K_MAX, TOLERANCE_K_MIN, toleranceOf } from '../../src/charts/bands'
import { downsample } from '../../src/charts/downsample'
import { usualOf } from '../../src/charts/parameters'

const GAP = 10
const setPoint = (zone: number) => `reefer.setpoint.temperature.${zone}`
const air = (zone: number) => `reefer.return.air.temperature.${zone}`

/** The band of one set-point as a chart gets it, by the times of its points. */
function drawn(times: number[], values: (number | undefined)[], pieces = 1000) {
  const beside = times.map((at) => at % 3)
  const { times: at, series } = downsample(times, [values, beside], [times[0] ?? 0, times.at(-1) ?? 0], pieces, GAP)
  const bands = bandsOf([setPoint(1), air(1)], series, TOLERANCE_K)
  assert.equal(bands.length, 1)
  return at.map((time, index) => ({ time, upper: bands[0]?.upper[index], lower: bands[0]?.lower[index] }))
}
const range = (count: number) => Array.from({ length: count }, (_, at) => at)

test('a band lies around each value of the set-point', () => {
  assert.deepEqual(drawn([0, 1], [-20, -20]), [0, 1].map((time) => ({ time, upper: -20 + TOLERANCE_K, lower: -20 - TOLERANCE_K })))
})

test('where the set-point is changed, the band changes at just that moment', () => {
  const band = drawn(range(6), [-20, -20, -20, 5, 5, 5])
  assert.deepEqual(band.map(({ upper }) => upper), [-18, -18, -18, 7, 7, 7])
  assert.deepEqual(band.map(({ lower }) => lower), [-22, -22, -22, 3, 3, 3])
})

test('a change of a moment is not lost among many points', () => {
  const values = range(50_000).map((at) => (at === 31_000 ? 5 : -20))
  const band = drawn(range(50_000), values, 100)
  assert.ok(band.length < 1000)
  assert.deepEqual(band.find(({ time }) => time === 31_000), { time: 31_000, upper: 7, lower: 3 })
})

test('where the set-point is not heard, there is no band, though the air is', () => {
  const band = drawn(range(40), range(40).map((at) => (at > 10 && at < 30 ? undefined : -20)))
  const gaps = band.filter(({ upper, lower }) => upper === null && lower === null)
  assert.equal(gaps.length, 1)
  assert.ok((gaps[0]?.time ?? 0) > 10 && (gaps[0]?.time ?? 0) < 30)
})

test('a set-point that is said now and then has a band in between', () => {
  assert.ok(drawn(range(30), range(30).map((at) => (at % 5 === 0 ? -20 : undefined))).every(({ upper }) => upper !== null))
})

test('a device that never says a set-point has no band', () => {
  assert.deepEqual(bandsOf([air(1), 'temperature.1'], [[1, 2], [3, 4]], TOLERANCE_K), [])
})

test('each zone has a band of its own, and its air is measured by it', () => {
  const names = [setPoint(1), setPoint(2), air(1), air(2), air(3), 'temperature.2']
  assert.deepEqual(bandsOf(names, names.map((_, at) => [at * 10]), 2).map(({ upper, lower }) => [upper, lower]), [[[2], [-2]], [[12], [8]]])
  assert.deepEqual(names.map((name) => setPointOf(name, names)), [undefined, undefined, setPoint(1), setPoint(2), undefined, undefined])
})

test('a band is as wide as somebody wants it, or not there', () => {
  assert.deepEqual(bandsOf([setPoint(1)], [[-20, null, undefined]], 0.5), [{ upper: [-19.5, null, undefined], lower: [-20.5, null, undefined] }])
  assert.deepEqual(bandsOf([setPoint(1)], [[-20]], 0), [])
})

test('what a browser has kept is a width, whatever it is', () => {
  for (const [kept, expected] of [[0.5, 0.5], [0, 0], [-3, 0], [0.001, TOLERANCE_K_MIN], [500, TOLERANCE_K_MAX], [NaN, TOLERANCE_K], ['3', TOLERANCE_K], [null, TOLERANCE_K], [undefined, TOLERANCE_K]]) {
    assert.equal(toleranceOf(kept), expected, String(kept))
  }
})

test('the cargo and the air around it are judged, and neither the coil nor the air from there', () => {
  const names = [setPoint(1), setPoint(2), air(1), 'reefer.supply.air.temperature.1', 'reefer.supply.air.temperature.2', 'reefer.evaporator.temperature.1', 'temperature.1']
  assert.deepEqual(judgedOf(names), [{ name: air(1), setPoint: setPoint(1) }, { name: 'reefer.supply.air.temperature.2', setPoint: setPoint(2) }])
  const one = [setPoint(1), air(1), 'temperature.1', 'sensor.cargo', 'engine.coolant.temperature', 'reefer.supply.air.temperature.1']
  assert.deepEqual(judgedOf(one).map(({ name }) => name), [air(1), 'temperature.1', 'sensor.cargo'])
  assert.deepEqual(judgedOf([air(1), 'temperature.1']), [])
})

test('probes are measured by the only set-point there is', () => {
  assert.equal(setPointOf('temperature.2', [setPoint(1), 'temperature.2']), setPoint(1))
  assert.equal(setPointOf('temperature.2', ['temperature.2']), undefined)
})

test('zones are told apart by their dashes, and a set-point is always dashed', () => {
  assert.equal(new Set([1, 2, 3].map((zone) => dashOf(air(zone)).join())).size, 3)
  assert.ok(dashOf(setPoint(1)).length > 0)
})

test('all set-points of three zones are shown at first, and speed and doors still are', () => {
  const names = [1, 2, 3].flatMap((zone) => [setPoint(zone), air(zone), `reefer.supply.air.temperature.${zone}`, `reefer.evaporator.temperature.${zone}`, `reefer.door.status.${zone}`])
  const shown = usualOf([...names, 'position.speed'].sort())
  for (const name of [setPoint(1), setPoint(2), setPoint(3), air(3), 'position.speed', 'reefer.door.status.1']) assert.ok(shown.includes(name), `${name} is not shown`)
})
