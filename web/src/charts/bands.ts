// Set-points and the bands around them: of each zone its own, with its changes and its gaps.
import type { Column } from './downsample'

export const isSetPoint = (name: string): boolean => /\.setpoint\./.test(name)

/** How far values may be from the set-point, where nobody has said it, and how far they may be said to be, in kelvins. */
export const TOLERANCE_K = 2
export const TOLERANCE_K_MIN = 0.1
export const TOLERANCE_K_MAX = 20

/** What is kept of it, whoever wrote that; 0 where no band is wanted. */
export function toleranceOf(kept: unknown): number {
  if (typeof kept !== 'number' || Number.isNaN(kept)) return TOLERANCE_K
  return kept <= 0 ? 0 : Math.min(Math.max(kept, TOLERANCE_K_MIN), TOLERANCE_K_MAX)
}

export interface Band {
  upper: Column
  lower: Column
}

/** A band for each set-point among the series. Where it pauses the band does, too; where it is not said anew, it goes on. */
export function bandsOf(names: readonly string[], series: readonly Column[], tolerance: number): Band[] {
  if (tolerance === 0) return []
  const around = (column: Column, by: number): Column => column.map((value) => (typeof value === 'number' ? value + by : value))
  return names.flatMap((name, at) => {
    const column = series[at]
    return isSetPoint(name) && column ? [{ upper: around(column, tolerance), lower: around(column, -tolerance) }] : []
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

/** Of whose values it is said how long they were outside: of the cargo's, and of the air that has been around it. The coil is colder by
 * its nature, and so is the air from there, which counts only where nothing else is known of its zone. */
export function judgedOf(names: readonly string[]): { name: string; setPoint: string }[] {
  return names.flatMap((name) => {
    const isReturn = /^reefer\.return\.air\./.test(name)
    const isAlone = /^reefer\.supply\.air\./.test(name) && !names.includes(name.replace('.supply.', '.return.'))
    const setPoint = isReturn || isAlone || /^(temperature|sensor)\./.test(name) ? setPointOf(name, names) : undefined
    return setPoint ? [{ name, setPoint }] : []
  })
}

/** How a line is drawn: set-points are dashed, and so is what is of the second and the third zone, that colours need not tell it. */
export function dashOf(name: string): number[] {
  if (isSetPoint(name)) return [5, 4]
  return /^reefer\./.test(name) ? ({ 2: [10, 3], 3: [2, 2] }[zoneOf(name)] ?? []) : []
}
