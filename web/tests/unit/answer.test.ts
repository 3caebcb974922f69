// What the answer of a query can be shown as.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LINES_MAX, linesOf, placesOf, rowOf, shapeOf, type Row } from '../../src/state/answer'

const shape = (rows: Row[]) => shapeOf(rows, [...new Set(rows.flatMap(Object.keys))])
const minute = (n: number) => new Date(Date.UTC(2026, 4, 1, 0, n)).toISOString()

test('columns of places are known under their usual names, and belong together', () => {
  const found = (...names: string[]) => {
    const { place } = shape([Object.fromEntries(names.map((name) => [name, 1]))])
    return place && [place.latitude, place.longitude]
  }
  assert.deepEqual(found('position.latitude', 'position.longitude'), ['position.latitude', 'position.longitude'])
  assert.deepEqual(found('lon', 'lat'), ['lat', 'lon'])
  assert.deepEqual(found('Lat', 'Lng'), ['Lat', 'Lng'])
  assert.deepEqual(found('lat_start', 'lat_end', 'lng_end', 'lng_start'), ['lat_start', 'lng_start'])
  assert.deepEqual(found('platform', 'belong'), undefined)
  assert.deepEqual(found('latitude', 'end_longitude'), undefined)
})

test('places that are text are none', () => {
  assert.equal(shape([{ lat: '48', lon: '9' }]).place, undefined)
})

test('a column whose first rows are empty is still one of numbers, times or places', () => {
  const { time, numbers, place } = shape([{ at: null, n: null, lat: null, lon: null }, { at: minute(1), n: 5, lat: 48, lon: 9 }])
  assert.deepEqual([time, numbers, place], ['at', ['n'], { latitude: 'lat', longitude: 'lon' }])
})

test('days are times, years and names are none', () => {
  assert.equal(shape([{ day: '2026-05-01' }]).time, 'day')
  assert.equal(shape([{ day: '2026' }]).time, undefined)
  assert.equal(shape([{ name: '2026-05-01 to 2026-05-02' }]).time, undefined)
})

test('a place and the id of a record are not what a chart shows', () => {
  assert.deepEqual(shape([{ id: 1, latitude: 48, longitude: 9, speed: 7 }]).numbers, ['speed'])
})

test('each device has a line of its own, in the order of time', () => {
  const rows = [{ device: 'a', at: minute(2), n: 3 }, { device: 'b', at: minute(1), n: 5 }, { device: 'a', at: minute(1), n: 4 }]
  const { names, times, series, left } = linesOf(rows, shape(rows))
  assert.deepEqual(names, ['a', 'b'])
  assert.deepEqual(times, [Date.parse(minute(1)), Date.parse(minute(2))])
  assert.deepEqual(series, [[4, 3], [5, undefined]])
  assert.equal(left, 0)
})

test('of one device the lines are called as the columns, and of too many the first are drawn', () => {
  const one = [{ device: 'a', at: minute(1), low: 1, high: 2 }]
  assert.deepEqual(linesOf(one, shape(one)).names, ['low', 'high'])
  const many = Array.from({ length: LINES_MAX + 3 }, (_, n) => ({ device: `d${n}`, at: minute(1), n }))
  const { names, left } = linesOf(many, shape(many))
  assert.deepEqual([names.length, left], [LINES_MAX, 3])
})

test('a way goes through the places of a device in the order of time', () => {
  const rows = [{ device: 'a', time: minute(3), lat: 3, lon: 3 }, { device: 'b', time: minute(1), lat: 9, lon: 9 }, { device: 'a', time: minute(1), lat: 1, lon: 1 }, { device: 'a', time: minute(2), lat: 2, lon: 2 }]
  const { points, ways, left } = placesOf(rows, shape(rows))
  assert.deepEqual(ways, [{ device: 'a', way: [[1, 1], [2, 2], [3, 3]] }])
  assert.deepEqual([points.length, left], [4, 0])
})

test('without times there are places and no way', () => {
  const rows = [{ lat: 1, lon: 1 }, { lat: 2, lon: 2 }]
  const { points, ways } = placesOf(rows, shape(rows))
  assert.deepEqual([points.length, ways.length], [2, 0])
})

test('a way is cut where the device paused', () => {
  const rows = [0, 1, 2, 200, 201].map((n) => ({ time: minute(n), lat: n / 10, lon: 0 }))
  assert.deepEqual(placesOf(rows, shape(rows)).ways.map(({ way }) => way.length), [3, 2])
})

test('what is not on the earth is counted and not drawn', () => {
  const rows = [{ lat: 91, lon: 0 }, { lat: null, lon: 3 }, { lat: 5, lon: 181 }, { lat: 5, lon: 5 }]
  const { points, left } = placesOf(rows, shape(rows))
  assert.deepEqual([points.map(({ at }) => at), left], [[3], 3])
})

test('a way over the date line stays short', () => {
  const rows = [{ time: minute(0), lat: 0, lon: 179 }, { time: minute(1), lat: 0, lon: -179 }]
  assert.deepEqual(placesOf(rows, shape(rows)).ways[0]?.way, [[179, 0], [181, 0]])
})

test('rows are read as they are written', () => {
  assert.deepEqual(rowOf('{"a":1.5,"t":"1234567890123456789"}'), { a: 1.5, t: '1234567890123456789' })
})
