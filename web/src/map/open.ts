// Opens a map. The library comes with the first one.
import type { Map as MapLibre, StyleSpecification } from 'maplibre-gl'
import worker from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { t } from '../i18n/text'
import { settings } from '../state/settings.svelte'
import { baseStyle, fillBase, FONT } from './base'
import { palette } from './colours'

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
  void import('maplibre-gl')
}

/** Opens a map in an element. `null` where the browser cannot draw one. */
export async function openMap(container: HTMLElement, view: View, isDark: boolean): Promise<Opened | null> {
  const [library] = await Promise.all([import('maplibre-gl'), import('maplibre-gl/dist/maplibre-gl.css'), document.fonts.load('14px "Inter Variable"')])
  library.setWorkerUrl(worker)
  library.setWorkerCount(WORKERS)
  const own = settings.mapStyle === ''
  let map: MapLibre
  try {
    map = new library.Map({
      container,
      style: own ? baseStyle(palette(isDark)) : settings.mapStyle,
      center: view.centre,
      zoom: view.zoom,
      minZoom: 1,
      maxZoom: 19,
      fadeDuration: 0,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      renderWorldCopies: true
    })
  } catch {
    return null
  }
  map.on('error', ({ error }) => console.error(error))
  map.touchZoomRotate.disableRotation()
  map.addControl(new library.AttributionControl({ compact: true, ...(own ? { customAttribution: CREDIT } : {}) }), 'bottom-right')
  // Whoever wants to read the credit opens it: it takes a quarter of a small map.
  if (container.clientWidth < CREDIT_WIDTH_MIN) container.querySelector('.maplibregl-ctrl-attrib')?.classList.remove('maplibregl-compact-show')
  map.getCanvas().setAttribute('aria-label', t('fleet.map'))
  await new Promise<void>((resolve) => map.once('style.load', () => resolve()))
  // What is shown on the map comes first: the rest of it is filled in behind.
  if (own) setTimeout(() => void fillBase(map), 0)
  return { map, font: own ? FONT : fontOf(map.getStyle()) }
}

function fontOf(style: StyleSpecification): string[] {
  for (const layer of style.layers) {
    const font = layer.type === 'symbol' ? layer.layout?.['text-font'] : undefined
    if (Array.isArray(font) && font.every((name) => typeof name === 'string')) return font as string[]
  }
  return ['Noto Sans Regular']
}
