// Values as people read them: in their units, with as many decimals as mean something.
import { settings } from './settings.svelte'

interface Unit {
  /** As it stands behind a value. */
  sign: string
  decimals: number
  of(value: number): number
}

const same = (sign: string, decimals: number): Unit => ({ sign, decimals, of: (value) => value })

/** By the unit of the dictionary. */
const metric: Record<string, Unit> = {
  C: same('°C', 1),
  'km/h': same('km/h', 0),
  km: same('km', 1),
  m: same('m', 0),
  l: same('l', 1),
  'l/h': same('l/h', 1),
  V: same('V', 2),
  percent: same('%', 0),
  h: same('h', 1),
  s: same('s', 0),
  kg: same('kg', 0),
  kPa: same('kPa', 0),
  degrees: same('°', 0),
  '1/min': same('/min', 0),
  ppm: same('ppm', 0)
}
const imperial: Record<string, Unit> = {
  C: { sign: '°F', decimals: 1, of: (c) => c * 1.8 + 32 },
  'km/h': { sign: 'mph', decimals: 0, of: (kmh) => kmh / 1.609344 },
  km: { sign: 'mi', decimals: 1, of: (km) => km / 1.609344 },
  m: { sign: 'ft', decimals: 0, of: (m) => m / 0.3048 },
  l: { sign: 'gal', decimals: 1, of: (l) => l / 3.785411784 },
  'l/h': { sign: 'gal/h', decimals: 2, of: (l) => l / 3.785411784 },
  kg: { sign: 'lb', decimals: 0, of: (kg) => kg / 0.45359237 },
  kPa: { sign: 'psi', decimals: 1, of: (kpa) => kpa / 6.894757 }
}

/** What the dictionary says of values that have no unit. */
const wordless = new Set(['count', 'enum', 'as sent', 'bit field', 'UTC'])

const keyOf = (name: string): string => name.split(',')[0]?.trim() ?? ''

export function unit(name: string): Unit {
  return (settings.units === 'imperial' ? imperial[keyOf(name)] : undefined) ?? stored(name)
}

/** A unit as values have it where they are kept, in files and in what people write of sensors, whatever they see on the pages. */
function stored(name: string): Unit {
  const key = keyOf(name)
  return metric[key] ?? same(wordless.has(key) ? '' : key, 2)
}

export const storedSign = (name: string): string => stored(name).sign

/** A value of a parameter whose unit is this, as it is kept, without the unit. */
export function storedText(value: number, unitName: string): string {
  return fixed(value, stored(unitName).decimals)
}

const MINUS = '\u2212'

/** A number with a fixed count of decimals and a real minus. */
export function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals)
  const isZero = Number(text) === 0
  return isZero ? text.replace('-', '') : text.replace('-', MINUS)
}

/** A value of a parameter whose unit is this, without the unit. */
export function shown(value: number, unitName: string): string {
  const { decimals, of } = unit(unitName)
  return fixed(of(value), decimals)
}

/** A difference, with its sign. Where units have another zero, that of the difference is the same. */
export function difference(value: number, unitName: string): string {
  const { decimals, of } = unit(unitName)
  const text = fixed(of(value) - of(0), decimals)
  return text.startsWith(MINUS) || Number(text) === 0 ? text : `+${text}`
}

/** How far on both sides, in kelvins: `±2.0 °C`. */
export function tolerance(kelvins: number): string {
  return `\u00b1${difference(kelvins, 'C').replace('+', '')} ${unit('C').sign}`
}

/** So many degrees, as people see them, are one kelvin. */
export function toleranceIn(): number {
  const { of } = unit('C')
  return of(1) - of(0)
}

export function distance(km: number): string {
  const { sign, of } = unit('km')
  return `${of(km) < 10 ? of(km).toFixed(1) : Math.round(of(km))} ${sign}`
}
