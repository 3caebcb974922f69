// Which parameters are shown where nobody has picked any, and how they are called and drawn.

import { isSetPoint } from './bands'

/** The colour of a series, as a property of the page. */
export type Colour = '--cold-1' | '--cold-2' | '--cold-3' | '--accent' | '--quiet' | '--warn'

/** Temperatures first, those that people act on before the others: of three zones, the last ones have no room. */
const temperatures = [
  /^reefer\.setpoint\.temperature\.\d+$/, /^reefer\.return\.air\.temperature\.\d+$/, /^reefer\.supply\.air\.temperature\.\d+$/, /^temperature\.\d+$/,
  /^reefer\.evaporator\.temperature\.\d+$/
]
const others = [/^position\.speed$/, /^fuel\.(level|volume)$/, /^reefer\.fuel\.level$/, /^(door\.status|reefer\.door\.status\.\d+)$/]
/** What somebody had computed is what they want to see. */
const sensors = [/^sensor\./]
const TEMPERATURES_MAX = 9
const SENSORS_MAX = 4
const OTHERS_MAX = 4

/** What a device's day shows at first. */
export function usualOf(names: readonly string[]): string[] {
  const of = (patterns: readonly RegExp[], most: number) => patterns.flatMap((pattern) => names.filter((name) => pattern.test(name))).slice(0, most)
  return [...of(temperatures, TEMPERATURES_MAX), ...of(sensors, SENSORS_MAX), ...of(others, OTHERS_MAX)]
}

/** `reefer.supply.air.temperature.1` is `supply air 1` to people; the whole name stands in the title. */
export function label(name: string): string {
  const short = name.replace(/^(reefer|position|engine|external)\./, '').replace(/\.temperature\b/, '').replace(/\.status\b/, '')
  const words = short.split('.').join(' ')
  return words || name
}

const wheel: Colour[] = ['--cold-1', '--cold-2', '--cold-3', '--warn', '--quiet']
export function colourOf(name: string, place: number): Colour {
  if (isSetPoint(name)) return '--quiet'
  if (/supply/.test(name)) return '--cold-1'
  if (/return/.test(name)) return '--cold-2'
  return wheel[place % wheel.length] ?? '--accent'
}

export const isFlag = (unit: string, values: readonly (number | undefined)[]): boolean =>
  unit === '' && values.every((value) => value === undefined || value === 0 || value === 1)
