// Who came and was not understood: what is said of each, and in which order they are listed.
import type { Schemas } from '../api/client'
import { t } from '../i18n/text'

export type Stray = Schemas['Stray']

/** What it could be, in short. */
export const guess = (stray: Stray): string =>
  stray.device ? t('strays.refused', { device: stray.device }) : stray.is ? t('strays.is', { protocol: stray.is }) : stray.could_be.join(', ') || t('strays.nothing')

/** Its first bytes, as whichever is shorter to read. */
export const start = ({ text, hex }: Stray): string => (text.length < hex.length ? text : hex)

/** Those who are listed, as they are by now and each where it was, whoever came or spoke since. */
export function held(listed: readonly Stray[], all: readonly Stray[]): Stray[] {
  const now = new Map(all.map((stray) => [stray.id, stray]))
  return listed.map((stray) => now.get(stray.id) ?? stray)
}

/** How many came since these were listed. */
export function since(listed: readonly Stray[], all: readonly Stray[]): number {
  const known = new Set(listed.map(({ id }) => id))
  return all.filter(({ id }) => !known.has(id)).length
}
