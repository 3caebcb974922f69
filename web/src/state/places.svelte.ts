// Names of places near a point, from the gazetteer that comes with the map.
import { t, type Key } from '../i18n/text'
import url from '../map/data/places.json?url'
import { distance } from './units'

export interface Gazetteer {
  names: string[]
  longitudes: number[]
  latitudes: number[]
  /** A digit for each place: larger is larger. */
  ranks: string
  capitals: number[]
  countries: { name: string; at: [number, number]; area: number }[]
}

const ready = $state({ is: false })
let asked: Promise<Gazetteer> | undefined
let cells: Map<number, number[]> | undefined
let loaded: Gazetteer | undefined

export function gazetteer(): Promise<Gazetteer> {
  asked ??= fetch(url)
    .then((response) => {
      if (!response.ok) throw new Error(`${url}: ${response.status}`)
      return response.json() as Promise<Gazetteer>
    })
    .then((places) => {
      cells = new Map()
      places.longitudes.forEach((longitude, at) => {
        const key = cell(longitude / 1000, (places.latitudes[at] ?? 0) / 1000)
        const those = cells?.get(key)
        if (those) those.push(at)
        else cells?.set(key, [at])
      })
      loaded = places
      ready.is = true
      return places
    })
  // What failed is asked for again.
  asked.catch(() => (asked = undefined))
  return asked
}

/** Gets the names if it can: pages do without them. */
export function knowPlaces(): void {
  void gazetteer().catch(() => undefined)
}

const cell = (longitude: number, latitude: number) => Math.floor(latitude * 2) * 1000 + Math.floor(longitude * 2)
const KM_IN_A_DEGREE = 111.2
/** So near, one is there. */
const THERE_KM = 4

export interface Near {
  name: string
  km: number
  /** From the place to the point: 0 is north, 1 north-east, and so on. */
  direction: number
}

/** The place nearest to a point, as far as half a degree away. */
export function nearest([longitude, latitude]: readonly [number, number]): Near | undefined {
  if (!ready.is || !loaded || !cells) return undefined
  const width = Math.cos((latitude * Math.PI) / 180)
  let best: Near | undefined
  for (const dy of [-0.5, 0, 0.5]) {
    for (const dx of [-0.5, 0, 0.5]) {
      for (const at of cells.get(cell(longitude + dx, latitude + dy)) ?? []) {
        const east = (longitude - (loaded.longitudes[at] ?? 0) / 1000) * width * KM_IN_A_DEGREE
        const north = (latitude - (loaded.latitudes[at] ?? 0) / 1000) * KM_IN_A_DEGREE
        // A town is larger than its point: cities reach further than villages.
        const km = Math.max(0, Math.hypot(east, north) - Number(loaded.ranks[at]))
        if (!best || km < best.km) {
          const direction = (Math.round(Math.atan2(east, north) / (Math.PI / 4)) + 8) % 8
          best = { name: loaded.names[at] ?? '', km, direction }
        }
      }
    }
  }
  return best
}

/** A point as people say it: `12 km SE of Ulm`. */
export function near(point: readonly [number, number]): string {
  const place = nearest(point)
  if (!place) return ''
  if (place.km < THERE_KM) return place.name
  return t('place.near', { distance: distance(place.km), direction: t(`direction.${place.direction}` as Key), name: place.name })
}
