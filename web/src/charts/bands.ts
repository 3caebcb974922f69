// Set-points and the bands around them: of each zone its own, with its changes and its gaps.
import type { Column } from './downsample'

export const isSetPoint = (name: string): boolean => /\.setpoint\./.test(name)

/** Around the set-point, what is drawn as a band. */
export const SETPOINT_BAND_K = 2

export interface Band {
  upper: Column
  lower: Column
}

/** A band for each set-point among the series. Where it pauses the band does, too; where it is not said anew, it goes on. */
export function bandsOf(names: readonly string[], series: readonly Column[]): Band[] {
  const around = (column: Column, by: number): Column => column.map((value) => (typeof value === 'number' ? value + by : value))
  return names.flatMap((name, at) => {
    const column = series[at]
    return isSetPoint(name) && column ? [{ upper: around(column, SETPOINT_BAND_K), lower: around(column, -SETPOINT_BAND_K) }] : []
  })
}

const zoneOf = (name: string): string => /\.(\d+)$/.exec(name)?.[1] ?? ''

/** The set-point that a series is measured by: that of its zone, or the only one there is. */
export function setPointOf(name: string, names: readonly string[]): string | undefined {
  const all = names.filter(isSetPoint)
  if (isSetPoint(name)) return undefined
  // Probes are numbered by themselves: the second one hangs anywhere.
  const isZoned = /^reefer\./.test(name)
  return (isZoned ? all.find((one) => zoneOf(one) === zoneOf(name)) : undefined) ?? (all.length === 1 && !isZoned ? all[0] : undefined)
}

/** How a line is drawn: set-points are dashed, and so is what is of the second and the third zone, that colours need not tell it. */
export function dashOf(name: string): number[] {
  if (isSetPoint(name)) return [5, 4]
  return /^reefer\./.test(name) ? ({ 2: [10, 3], 3: [2, 2] }[zoneOf(name)] ?? []) : []
}
