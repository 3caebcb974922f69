// Opens a map. The library comes with the first one.
import type { Map as MapLibre, StyleSpecification } from 'maplibre-gl'
import worker from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { t } from '../i18n/text'
import { baseStyle, fillBase, FONT } from './base'
import { palette } from './colours'
import { chosenMap, configured, note, styled, type Shown } from './style'

type Library = typeof import('maplibre-gl')

export interface Opened {
  map: MapLibre
  /** The font that the map's style has. */
  font: string[]
}

export interface View {
  centre: [number, number]
  zoom: number
}

/** Where a map is before anybody knows better. */
export const EUROPE: View = { centre: [12, 50], zoom: 4 }
/** One prepares what is shown while the other prepares the ground. */
const WORKERS = 2
const CREDIT_WIDTH_MIN = 800
/** What an archive says of itself is waited for this long. */
const ARCHIVE_MS_MAX = 10_000
const CREDIT = t('map.credit')

/** Begins to fetch what a map needs, before it is clear what it shows. */
export function prepareMaps(): void {
  void import('maplibre-gl').catch(() => undefined)
  void configured().then(({ tiles }) => (tiles ? import('./archive') : undefined)).catch(() => undefined)
}

/** Opens a map in an element. `null` where the browser cannot draw one, and where what it takes did not arrive. `link` is the secret of
 * whoever has not signed in. The ground is filled in once `placed`: for a place that is left at once it would be work for nothing. */
export async function openMap(container: HTMLElement, view: View, isDark: boolean, link?: string, placed: Promise<unknown> = Promise.resolve()): Promise<Opened | null> {
  const all = Promise.all([
    import('maplibre-gl'), chosenMap(isDark), import('maplibre-gl/dist/maplibre-gl.css'), document.fonts.load('14px "Inter Variable"')
  ])
  const [library, chosen] = await all.catch(() => [undefined, undefined])
  if (!library || !chosen) return null
  const { style, hosts, tiles } = chosen
  // What a worker may ask stands in the answer that its script is, which browsers keep: with other hosts it is another one.
  library.setWorkerUrl(style ? `${worker}?${new URLSearchParams({ hosts: hosts.join(' ') })}` : worker)
  library.setWorkerCount(WORKERS)
  const archived = tiles === undefined ? undefined : await archive(library, tiles, isDark, link)
  let map = begin(library, container, view, style ?? archived?.style ?? baseStyle(palette(isDark)))
  if (!map || !archived?.style) archived?.letGo?.()
  if (!map) return null
  // With the map that shows it, a file is let go.
  if (archived?.letGo) map.once('remove', archived.letGo)
  const fault = await styled(map)
  if (style === undefined || fault === undefined) {
    dress(library, map, container, style === undefined, placed)
    if (style !== undefined) watch(map, container, 'map.part.failed')
    if (archived?.style) watch(map, container, 'map.tiles.part')
    if (archived?.fault) note(container, archived.fault)
    return { map, font: style === undefined ? FONT : fontOf(map.getStyle()) }
  }
  map.remove()
  map = begin(library, container, view, baseStyle(palette(isDark)))
  if (!map) return null
  await styled(map)
  dress(library, map, container, true, placed)
  note(container, t('map.style.failed', { host: new URL(style, location.href).host, why: fault }))
  return { map, font: FONT }
}

interface Archived {
  style?: StyleSpecification
  fault?: string
  /** Lets a file go that somebody has chosen. */
  letGo?: (() => void) | undefined
}

/** The style with an archive, or why there is none: the built-in map is there in any case. */
async function archive(library: Library, tiles: NonNullable<Shown['tiles']>, isDark: boolean, link: string | undefined): Promise<Archived> {
  const name = typeof tiles === 'string' ? undefined : tiles.name
  const failed = (why: string) => ({ fault: name === undefined ? t('map.tiles.failed', { why }) : t('map.file.failed', { name, why }) })
  const code = await import('./archive').catch(() => undefined)
  if (!code) return failed(t('map.file.code'))
  const look = { colours: palette(isDark), font: FONT, language: navigator.language.slice(0, 2) }
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new code.NotShown(t('map.style.late'))), ARCHIVE_MS_MAX))
  const letGo = typeof tiles === 'string' ? undefined : code.hold(tiles)
  return Promise.race([code.withArchive(library, baseStyle(look.colours), tiles, look, link), late]).then(
    (style) => ({ style, letGo }),
    (error: unknown) => ({ ...failed(code.told(error)), letGo })
  )
}

function begin(library: Library, container: HTMLElement, { centre, zoom }: View, style: StyleSpecification | string): MapLibre | undefined {
  try {
    return new library.Map({
      container, style, center: centre, zoom, minZoom: 1, maxZoom: 19, fadeDuration: 0, attributionControl: false,
      dragRotate: false, pitchWithRotate: false, touchPitch: false, renderWorldCopies: true
    })
  } catch {
    return undefined
  }
}

function dress(library: Library, map: MapLibre, container: HTMLElement, isOwn: boolean, placed: Promise<unknown>): void {
  map.on('error', ({ error }) => console.error(error))
  map.touchZoomRotate.disableRotation()
  map.addControl(new library.AttributionControl({ compact: true, ...(isOwn ? { customAttribution: CREDIT } : {}) }), 'bottom-right')
  // Whoever wants to read the credit opens it: it takes a quarter of a small map.
  if (container.clientWidth < CREDIT_WIDTH_MIN) container.querySelector('.maplibregl-ctrl-attrib')?.classList.remove('maplibregl-compact-show')
  map.getCanvas().setAttribute('aria-label', t('fleet.map'))
  // What is shown on the map comes first: the rest of it is filled in behind.
  if (isOwn) void placed.then(() => setTimeout(() => void fillBase(map).catch((error: unknown) => console.error(error)), 0))
}

/** Says once what of a map cannot be had: of a style it is most often a host that the configuration does not name. */
function watch(map: MapLibre, container: HTMLElement, key: 'map.part.failed' | 'map.tiles.part'): void {
  map.once('error', ({ error }) => note(container, t(key, { why: error.message })))
}

function fontOf(style: StyleSpecification): string[] {
  for (const layer of style.layers) {
    const font = layer.type === 'symbol' ? layer.layout?.['text-font'] : undefined
    if (Array.isArray(font) && font.every((name) => typeof name === 'string')) return font as string[]
  }
  return ['Noto Sans Regular']
}
