// Opens a map. The library comes with the first one.
import type { Map as MapLibre, StyleSpecification } from 'maplibre-gl'
import worker from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { t } from '../i18n/text'
import { baseStyle, fillBase, FONT } from './base'
import { palette } from './colours'
import { chosenStyle, configured, note, styled } from './style'

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

/** One prepares what is shown while the other prepares the ground. */
const WORKERS = 2
const CREDIT_WIDTH_MIN = 800
const CREDIT = t('map.credit')

/** Begins to fetch what a map needs, before it is clear what it shows. */
export function prepareMaps(): void {
  void import('maplibre-gl').catch(() => undefined)
  void configured().catch(() => undefined)
}

/** Opens a map in an element. `null` where the browser cannot draw one, and where what it takes did not arrive. */
export async function openMap(container: HTMLElement, view: View, isDark: boolean): Promise<Opened | null> {
  const all = Promise.all([
    import('maplibre-gl'), chosenStyle(isDark), import('maplibre-gl/dist/maplibre-gl.css'), document.fonts.load('14px "Inter Variable"')
  ])
  const [library, chosen] = await all.catch(() => [undefined, undefined])
  if (!library || !chosen) return null
  const { style, hosts } = chosen
  // What a worker may ask stands in the answer that its script is, which browsers keep: with other hosts it is another one.
  library.setWorkerUrl(style ? `${worker}?${new URLSearchParams({ hosts: hosts.join(' ') })}` : worker)
  library.setWorkerCount(WORKERS)
  let map = begin(library, container, view, style ?? baseStyle(palette(isDark)))
  if (!map) return null
  const fault = await styled(map)
  if (style === undefined || fault === undefined) {
    dress(library, map, container, style === undefined)
    if (style !== undefined) watchHosts(map, container)
    return { map, font: style === undefined ? FONT : fontOf(map.getStyle()) }
  }
  map.remove()
  map = begin(library, container, view, baseStyle(palette(isDark)))
  if (!map) return null
  await styled(map)
  dress(library, map, container, true)
  note(container, t('map.style.failed', { host: new URL(style, location.href).host, why: fault }))
  return { map, font: FONT }
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

function dress(library: Library, map: MapLibre, container: HTMLElement, isOwn: boolean): void {
  map.on('error', ({ error }) => console.error(error))
  map.touchZoomRotate.disableRotation()
  map.addControl(new library.AttributionControl({ compact: true, ...(isOwn ? { customAttribution: CREDIT } : {}) }), 'bottom-right')
  // Whoever wants to read the credit opens it: it takes a quarter of a small map.
  if (container.clientWidth < CREDIT_WIDTH_MIN) container.querySelector('.maplibregl-ctrl-attrib')?.classList.remove('maplibregl-compact-show')
  map.getCanvas().setAttribute('aria-label', t('fleet.map'))
  // What is shown on the map comes first: the rest of it is filled in behind.
  if (isOwn) setTimeout(() => void fillBase(map).catch((error: unknown) => console.error(error)), 0)
}

/** Says once what of a style cannot be had: most often a host that the configuration does not name. */
function watchHosts(map: MapLibre, container: HTMLElement): void {
  map.once('error', ({ error }) => note(container, t('map.part.failed', { why: error.message })))
}

function fontOf(style: StyleSpecification): string[] {
  for (const layer of style.layers) {
    const font = layer.type === 'symbol' ? layer.layout?.['text-font'] : undefined
    if (Array.isArray(font) && font.every((name) => typeof name === 'string')) return font as string[]
  }
  return ['Noto Sans Regular']
}
