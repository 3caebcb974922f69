// Which parameters are shown where nobody has picked any, and how they are called and drawn.

import { dashOf, isSetPoint } from './bands'

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

export interface Look {
  colour: Colour
  dash: number[]
}

const wheel: Colour[] = ['--cold-1', '--cold-2', '--cold-3', '--warn', '--quiet']
const dashes = [[], [10, 3], [2, 2], [5, 4], [8, 3, 2, 3]]
const all: Look[] = dashes.flatMap((dash) => wheel.map((colour) => ({ colour, dash })))

function usual(name: string): Colour | undefined {
  return isSetPoint(name) ? '--quiet' : /supply/.test(name) ? '--cold-1' : /return/.test(name) ? '--cold-2' : undefined
}

/** How the series of a chart are drawn: no two alike, and those that have a colour of their own keep it. */
export function looksOf(names: readonly string[]): Look[] {
  const taken = new Set<string>()
  const found = new Map<string, Look>()
  const take = (name: string, wanted: readonly Look[]) => {
    const look = wanted.find(({ colour, dash }) => !taken.has(colour + dash)) ?? all[found.size % all.length] ?? { colour: '--accent', dash: [] }
    taken.add(look.colour + look.dash)
    found.set(name, look)
  }
  for (const name of names) {
    const colour = usual(name)
    if (colour) take(name, [{ colour, dash: dashOf(name) }, ...all.filter((one) => one.colour === colour && one.dash.length > 0)])
  }
  for (const name of names) {
    // A colour that nothing else has, as long as there is one.
    const dash = dashOf(name)
    if (!found.has(name)) take(name, [...all.filter((one) => one.dash.join() === dash.join() && ![...found.values()].some(({ colour }) => colour === one.colour)), ...all])
  }
  return names.map((name) => found.get(name) ?? { colour: '--accent', dash: [] })
}

export const isFlag = (unit: string, values: readonly (number | undefined)[]): boolean =>
  unit === '' && values.every((value) => value === undefined || value === 0 || value === 1)
