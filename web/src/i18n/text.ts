// What the interface says, by key.
import { en } from './en'

export type Key = keyof typeof en
/** Keys of which there is one for one thing and one for more. */
export type Counted = { [K in Key]: K extends `${infer Stem}.one` ? Stem : never }[Key]
type Values = Readonly<Record<string, string | number>>

const plural = new Intl.PluralRules('en')
const grouped = new Intl.NumberFormat('en')

/** The text of a key, with values in the place of their names. */
export function t(key: Key, values?: Values): string {
  const text: string = en[key]
  if (!values) return text
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}

/** The text for so many. */
export function counted(stem: Counted, n: number): string {
  const form = plural.select(n) === 'one' ? 'one' : 'other'
  return t(`${stem}.${form}` as Key, { n: grouped.format(n) })
}

/** The text of a key that is put together, if there is one; else what is given. */
export function maybe(key: string, otherwise: string): string {
  return key in en ? t(key as Key) : otherwise
}
