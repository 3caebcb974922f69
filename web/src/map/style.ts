// Which map is shown: a file of whoever looks, or what the server says; and what becomes of it where it cannot be had.
import type { ErrorEvent, Map as MapLibre } from 'maplibre-gl'
import { t } from '../i18n/text'
import { settings } from '../state/settings.svelte'
import { chosen } from './chosen.svelte'

export interface Configured {
  style: string | null
  style_dark: string | null
  /** All hosts that pages may ask for it. */
  hosts: string[]
  /** Where the server has a file of tiles, instead of a style. */
  tiles: string | null
}

/** What is shown: nothing said is the map that needs no other host. */
export interface Shown {
  style?: string
  hosts: string[]
  /** An archive of tiles, of the server or of whoever looks. */
  tiles?: File | string
}

/** A host that does not answer in this time is not waited for. */
const STYLE_MS_MAX = 10_000

const NONE: Configured = { style: null, style_dark: null, hosts: [], tiles: null }
let asked: Promise<Configured> | undefined

/** What the server's configuration says, asked once. */
export function configured(): Promise<Configured> {
  asked ??= fetch('/map.json').then((answer) => (answer.ok ? (answer.json() as Promise<Configured>) : NONE)).catch(() => {
    asked = undefined
    return NONE
  })
  return asked
}

/** The map to be shown. */
export async function chosenMap(isDark: boolean): Promise<Shown> {
  const { style, style_dark, hosts, tiles } = await configured()
  if (chosen.file) return { hosts, tiles: chosen.file }
  if (settings.map === 'own') return { hosts }
  if (tiles) return { hosts, tiles }
  const named = (isDark ? style_dark : null) ?? style
  return named ? { hosts, style: named } : { hosts }
}

/** Whether the style was loaded; else what kept it. */
export function styled(map: MapLibre): Promise<string | undefined> {
  return new Promise((resolve) => {
    const done = (what: string | undefined) => {
      clearTimeout(timer)
      map.off('error', failed)
      map.off('style.load', loaded)
      resolve(what)
    }
    const failed = ({ error }: ErrorEvent) => done(error.message)
    const loaded = () => done(undefined)
    const timer = setTimeout(() => done(t('map.style.late')), STYLE_MS_MAX)
    map.on('error', failed)
    map.on('style.load', loaded)
  })
}

/** Says something over a map, until it is taken away. */
export function note(container: HTMLElement, text: string): void {
  const line = document.createElement('p')
  line.className = 'map-note'
  line.setAttribute('role', 'status')
  const words = document.createElement('span')
  words.textContent = text
  const close = document.createElement('button')
  close.type = 'button'
  close.className = 'button quiet small'
  close.textContent = '×'
  close.setAttribute('aria-label', t('close'))
  close.onclick = () => line.remove()
  line.append(words, close)
  container.querySelector('.map-note')?.remove()
  container.append(line)
}
