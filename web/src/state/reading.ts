// The one value that stands for a device: the parameter that was chosen, or the first temperature that it has, of which time it is, and
// how far it is from its set-point.
import { isSetPoint, setPointOf } from '../charts/bands'

/** Chosen: the first temperature that a device has. */
export const FIRST = 'first'

/** What people look at before the others: what hangs in the cargo, then what the unit measures. */
const TEMPERATURES = ['temperature.1', 'temperature.2', 'temperature.3', 'reefer.return.air.temperature.1', 'reefer.supply.air.temperature.1', 'reefer.return.air.temperature.2', 'reefer.return.air.temperature.3']
const SET_POINTS = [1, 2, 3].map((zone) => `reefer.setpoint.temperature.${zone}`)

/** A value that is so much older than the record beside it does not stand there without its own age. */
export const OLD_MS = 10 * 60_000

/** What a device says, as far as a reading takes it. */
export interface Said {
  values: Readonly<Record<string, unknown>>
  /** Of values that are older than `time`, in milliseconds. */
  times?: Readonly<Record<string, number>>
  time?: string | null
}

export interface Reading {
  name: string
  value: unknown
  /** When that was so, if it is known. */
  time: number | undefined
  /** The set-point, and how far the value is above it. */
  setPoint?: number
  off?: number
}

/** The parameters that a reading of this value takes. */
export function parametersOf(value: string): string[] {
  const own = value === FIRST ? TEMPERATURES : [value]
  const hasSetPoint = own.some((name) => /temperature/.test(name) && !isSetPoint(name))
  return [...own, ...(hasSetPoint ? SET_POINTS.filter((name) => !own.includes(name)) : [])]
}

/** What a device says of this value. */
export function readingOf(said: Said | undefined, value: string): Reading | undefined {
  if (!said) return undefined
  const { values, times } = said
  const name = value === FIRST ? TEMPERATURES.find((one) => typeof values[one] === 'number') : value
  const read = name === undefined ? undefined : values[name]
  if (name === undefined || read === undefined || read === null) return undefined
  const by = /temperature/.test(name) ? setPointOf(name, SET_POINTS.filter((one) => typeof values[one] === 'number')) : undefined
  const setPoint = by === undefined ? undefined : values[by]
  const time = times?.[name] ?? (said.time ? Date.parse(said.time) : undefined)
  return typeof read === 'number' && typeof setPoint === 'number' ? { name, value: read, time, setPoint, off: read - setPoint } : { name, value: read, time }
}

/** The time of a reading that is not of now, though its device says something now. */
export function oldOf(reading: Reading | undefined, latest: number | undefined): number | undefined {
  const time = reading?.time
  return time !== undefined && latest !== undefined && latest - time > OLD_MS ? time : undefined
}
