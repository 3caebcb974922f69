// Which parameters are shown where nobody has picked any, and how they are called and drawn.

/** The colour of a series, as a property of the page. */
export type Colour = '--cold-1' | '--cold-2' | '--cold-3' | '--accent' | '--quiet' | '--warn'

const usual = [
  /^reefer\.(setpoint|supply\.air|return\.air|evaporator)\.temperature\.\d+$/, /^temperature\.\d+$/, /^position\.speed$/,
  /^fuel\.(level|volume)$/, /^reefer\.fuel\.level$/, /^(door\.status|reefer\.door\.status\.\d+)$/
]
const SERIES_MAX = 8

/** What a device's day shows at first. */
export function usualOf(names: readonly string[]): string[] {
  return usual.flatMap((pattern) => names.filter((name) => pattern.test(name))).slice(0, SERIES_MAX)
}

export const isSetPoint = (name: string): boolean => /\.setpoint\./.test(name)

/** Around the set-point, what is drawn as a band. */
export const SETPOINT_BAND_K = 2

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
