// What the answer of a query can be shown as: which columns are times, numbers, places and devices; its lines and its places.
import { gapOf } from './gap'

export type Row = Readonly<Record<string, unknown>>

/** More rows are neither a table that somebody reads nor a map that moves smoothly. */
export const ROWS_MAX = 5000
/** More lines in one chart are told apart by nobody. */
export const LINES_MAX = 12

export interface Shape {
  /** The column of times. */
  time: string | undefined
  numbers: string[]
  /** What rows are of: a line is drawn for each. */
  device: string | undefined
  place: { latitude: string; longitude: string } | undefined
}

const DATE = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/
const devices = ['device', 'imei', 'vehicle', 'plate', 'name']
/** How columns of places are called: the one word stands where the other does. */
const places = [['latitude', 'longitude'], ['lat', 'lon'], ['lat', 'lng'], ['lat', 'long']] as const

export function shapeOf(rows: readonly Row[], columns: readonly string[]): Shape {
  const first = (name: string) => rows.find((row) => row[name] !== null && row[name] !== undefined)?.[name]
  const place = placeOf(columns.filter((name) => typeof first(name) === 'number'))
  const time = columns.find((name) => {
    const value = first(name)
    return typeof value === 'string' && DATE.test(value)
  })
  const device = devices.flatMap((wanted) => columns.filter((name) => name.toLowerCase() === wanted && first(name) !== undefined))[0]
  const isNumber = (name: string) => name !== device && name !== place?.latitude && name !== place?.longitude && name !== 'id'
  return { time, device, place, numbers: columns.filter((name) => isNumber(name) && rows.some((row) => typeof row[name] === 'number')) }
}

/** `position_latitude` belongs to `position_longitude`, and `lat_start` to `lng_start`. */
function placeOf(numbers: readonly string[]): Shape['place'] {
  for (const [north, east] of places) {
    for (const latitude of numbers) {
      const wanted = latitude.split(/([._ ])/).map((word) => (word.toLowerCase() === north ? east : word.toLowerCase())).join('')
      if (wanted === latitude.toLowerCase()) continue
      const longitude = numbers.find((name) => name.toLowerCase() === wanted)
      if (longitude) return { latitude, longitude }
    }
  }
  return undefined
}

const timeOf = (row: Row, { time }: Shape): number => (time === undefined ? Number.NaN : Date.parse(String(row[time])))
const deviceOf = (row: Row, { device }: Shape): string => (device === undefined ? '' : String(row[device] ?? ''))

/** Rows by device, each device's by time where there is one. */
function byDevice(rows: readonly Row[], shape: Shape, isMeant: (row: Row) => boolean): Map<string, { at: number; time: number }[]> {
  const found = new Map<string, { at: number; time: number }[]>()
  rows.forEach((row, at) => {
    const time = timeOf(row, shape)
    if (!isMeant(row) || (shape.time !== undefined && !Number.isFinite(time))) return
    const device = deviceOf(row, shape)
    const those = found.get(device)
    if (those) those.push({ at, time })
    else found.set(device, [{ at, time }])
  })
  if (shape.time !== undefined) for (const those of found.values()) those.sort((a, b) => a.time - b.time)
  return found
}

/** Two times tell nothing of what is usual: they belong together. */
const pauseOf = (times: readonly number[]): number => (times.length < 3 ? Number.POSITIVE_INFINITY : gapOf(times))

export interface Lines {
  names: string[]
  times: number[]
  series: (number | undefined)[][]
  /** The longest pause that is none. */
  gap: number
  /** Lines that are not among these, because there are too many. */
  left: number
}

/** Each column of numbers as a line, or as one for each device. */
export function linesOf(rows: readonly Row[], shape: Shape): Lines {
  const groups = [...byDevice(rows, shape, () => true)].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
  const isOne = groups.length < 2
  const all = groups.flatMap(([device, those]) => shape.numbers.map((name) => ({ device, name, those })))
    .filter(({ name, those }) => those.some(({ at }) => typeof rows[at]?.[name] === 'number'))
  const drawn = all.slice(0, LINES_MAX)
  const times = [...new Set(drawn.flatMap(({ those }) => those.map(({ time }) => time)))].sort((a, b) => a - b)
  const place = new Map(times.map((time, index) => [time, index]))
  const series = drawn.map(({ name, those }) => {
    const line: (number | undefined)[] = times.map(() => undefined)
    for (const { at, time } of those) {
      const value = rows[at]?.[name]
      if (typeof value === 'number') line[place.get(time) ?? 0] = value
    }
    return line
  })
  const gap = Math.max(0, ...drawn.map(({ those }) => pauseOf(those.map(({ time }) => time))))
  const names = drawn.map(({ device, name }) => (isOne ? name : shape.numbers.length === 1 ? device : `${device} ${name}`))
  return { names, times, series, gap, left: all.length - drawn.length }
}

export interface Places {
  /** Of each place its row, its device and where it is. */
  points: { at: number; device: string; place: [number, number] }[]
  /** Ways in the order of time, cut where a device paused. */
  ways: { device: string; way: [number, number][] }[]
  /** Rows that have no place on the earth. */
  left: number
}

const HALF_TURN = 180

/** Where rows are, and in which order each device was there. */
export function placesOf(rows: readonly Row[], shape: Shape): Places {
  const out: Places = { points: [], ways: [], left: 0 }
  if (!shape.place) return { ...out, left: rows.length }
  const { latitude, longitude } = shape.place
  const isOnEarth = (row: Row) => {
    const [x, y] = [row[longitude], row[latitude]]
    return typeof x === 'number' && typeof y === 'number' && Math.abs(x) <= HALF_TURN && Math.abs(y) <= HALF_TURN / 2
  }
  for (const [device, those] of byDevice(rows, shape, isOnEarth)) {
    const pause = pauseOf(those.map(({ time }) => time))
    let way: [number, number][] = []
    let before = Number.NaN
    const end = () => {
      if (way.length > 1) out.ways.push({ device, way })
    }
    for (const { at, time } of those) {
      const place: [number, number] = [rows[at]?.[longitude] as number, rows[at]?.[latitude] as number]
      out.points.push({ at, device, place })
      if (shape.time === undefined) continue
      if (time - before > pause) {
        end()
        way = []
      }
      way.push(nearer(way.at(-1), place))
      before = time
    }
    end()
  }
  out.left = rows.length - out.points.length
  return out
}

/** The same place, on this side of the date line: a way over it does not go around the earth. */
function nearer(from: [number, number] | undefined, [x, y]: [number, number]): [number, number] {
  if (!from) return [x, y]
  return [x - Math.round((x - from[0]) / (2 * HALF_TURN)) * 2 * HALF_TURN, y]
}

/** Whole numbers that a number of JavaScript does not hold. */
const LONG = /\d{16}/
type Reviver = (this: unknown, key: string, value: unknown, context?: { source?: string }) => unknown

/** A row as the server wrote it: ids of records, which have more digits than a number here, stay exact as text. */
export function rowOf(line: string): Row {
  if (!LONG.test(line)) return JSON.parse(line) as Row
  const exact: Reviver = (_key, value, context) => (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) && context?.source ? context.source : value)
  return JSON.parse(line, exact) as Row
}
