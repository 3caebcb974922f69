// The metrics of the server, in the text form of Prometheus, and what they say about each stage.
import type { Schemas } from '../api/client'

export type Metrics = Map<string, { labels: Record<string, string>; value: number }[]>

export function parse(text: string): Metrics {
  const metrics: Metrics = new Map()
  for (const line of text.split('\n')) {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line)
    if (!found) continue
    const [, name = '', labelled = '', value = ''] = found
    const labels = Object.fromEntries([...labelled.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', text = '']) => [key, text]))
    const those = metrics.get(name) ?? []
    those.push({ labels, value: Number(value) })
    metrics.set(name, those)
  }
  return metrics
}

export function sum(metrics: Metrics, name: string, where: Record<string, string> = {}): number {
  const those = metrics.get(name) ?? []
  return those.filter(({ labels }) => Object.entries(where).every(([key, value]) => labels[key] === value)).reduce((all, { value }) => all + value, 0)
}

/** One look at the server. */
export interface Look {
  at: number
  metrics: Metrics
}

/** How much a counter grew in a second between two looks. */
export function rate(before: Look, now: Look, name: string, where?: Record<string, string>): number {
  const seconds = (now.at - before.at) / 1000
  const grown = sum(now.metrics, name, where) - sum(before.metrics, name, where)
  // A server that was started anew counts from nothing.
  return seconds > 0 && grown >= 0 ? grown / seconds : 0
}

/** By how much a counter grew while one looked; nothing, if the server was started anew meanwhile. */
export function grown(looks: readonly Look[], name: string): number {
  const [first, last] = [looks[0], looks.at(-1)]
  return first && last ? Math.max(0, sum(last.metrics, name) - sum(first.metrics, name)) : 0
}

/** The mean of a histogram between two looks, in milliseconds. */
export function meanMs(before: Look | undefined, now: Look, name: string): number | undefined {
  const grown = (suffix: string) => sum(now.metrics, name + suffix) - (before ? sum(before.metrics, name + suffix) : 0)
  const count = grown('_count')
  return count > 0 ? (grown('_sum') / count) * 1000 : undefined
}

/** What the server saw while nobody looked. */
export function lookedBack({ times, numbers }: Schemas['Lately']): Look[] {
  return times.map((at, index) => {
    const metrics: Metrics = new Map()
    for (const { name, labels, values } of numbers) metrics.set(name, [...(metrics.get(name) ?? []), { labels, value: values[index] ?? 0 }])
    return { at, metrics }
  })
}

/** One of a line. */
export interface Point {
  at: number
  value: number
}

/** Lines of a gauge, of how fast a counter grew, and of the means of a histogram: of what is shown as a number by the functions above. */
export const gauges = (looks: readonly Look[], name: string): Point[] => looks.map(({ at, metrics }) => ({ at, value: sum(metrics, name) }))
export const rates = (looks: readonly Look[], name: string, where?: Record<string, string>): Point[] => between(looks, (before, now) => rate(before, now, name, where))
export const means = (looks: readonly Look[], name: string): Point[] => between(looks, (before, now) => meanMs(before, now, name) ?? 0)
const between = (looks: readonly Look[], value: (before: Look, now: Look) => number): Point[] =>
  looks.slice(1).map((now, at) => ({ at: now.at, value: value(looks[at] as Look, now) }))

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
export function size(bytes: number): string {
  let [value, step] = [bytes, 0]
  while (value >= 1024 && step < SIZES.length - 1) [value, step] = [value / 1024, step + 1]
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${SIZES[step]}`
}

export function amount(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`
  if (value >= 1e4) return `${Math.round(value / 1e3)} k`
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1)
}
