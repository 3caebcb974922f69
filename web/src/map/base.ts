// The map that needs no internet: coasts, borders, waters and places, from files beside this page.
import type { FeatureCollection } from 'geojson'
import type { GeoJSONSource, Map as MapLibre, StyleSpecification } from 'maplibre-gl'
import { feature, mesh } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import { gazetteer, type Gazetteer } from '../state/places.svelte'
import coarse from './data/world-50m.json?url'
import fine from './data/world-10m.json?url'
import waters from './data/water.json?url'
import type { Palette } from './colours'

/** From here on, coasts are shown as finely as they are known. */
const FINE_ZOOM = 6
/** From here on, towns are named, too; before, only what is larger. */
const TOWNS_ZOOM = 7
const CITY_RANK = 2
export const FONT = ['Inter Variable']
const EMPTY: FeatureCollection = { type: 'FeatureCollection', features: [] }

export function baseStyle(colours: Palette): StyleSpecification {
  const source = { type: 'geojson', data: EMPTY, tolerance: 0.3 } as const
  const rank = ['get', 'rank'] as ['get', string]
  // Filters are looked at once for each tile, whose zoom is a whole number.
  return {
    version: 8,
    sources: { land: { ...source }, borders: { ...source }, lakes: { ...source }, rivers: { ...source }, places: { ...source }, countries: { ...source } },
    layers: [
      { id: 'water', type: 'background', paint: { 'background-color': colours.water } },
      { id: 'land', type: 'fill', source: 'land', paint: { 'fill-color': colours.land, 'fill-antialias': true } },
      { id: 'coast', type: 'line', source: 'land', paint: { 'line-color': colours.coast, 'line-width': 0.8 } },
      { id: 'rivers', type: 'line', source: 'rivers', minzoom: 3, paint: { 'line-color': colours.river, 'line-width': ['interpolate', ['linear'], ['zoom'], 3, 0.6, 10, 2.4] } },
      { id: 'lakes', type: 'fill', source: 'lakes', paint: { 'fill-color': colours.water } },
      { id: 'borders', type: 'line', source: 'borders', layout: { 'line-join': 'round' }, paint: { 'line-color': colours.border, 'line-width': ['interpolate', ['linear'], ['zoom'], 2, 0.6, 8, 1.4] } },
      {
        id: 'countries', type: 'symbol', source: 'countries', maxzoom: 6.5,
        filter: ['>', ['get', 'area'], ['step', ['zoom'], 120, 3, 30, 4, 6, 5, 0.5]],
        layout: { 'text-field': ['get', 'name'], 'text-font': FONT, 'text-size': ['interpolate', ['linear'], ['zoom'], 2, 10, 6, 14], 'text-letter-spacing': 0.12, 'text-transform': 'uppercase', 'text-max-width': 7 },
        paint: { 'text-color': colours.country, 'text-halo-color': colours.halo, 'text-halo-width': 1.2 }
      },
      {
        id: 'dots', type: 'circle', source: 'places', minzoom: 4, maxzoom: 9,
        filter: ['>=', rank, ['step', ['zoom'], 5, 4, 4, 5, 3, 6, 2]],
        paint: { 'circle-radius': 1.6, 'circle-color': colours.place }
      },
      {
        id: 'places', type: 'symbol', source: 'places', minzoom: 3.5,
        filter: ['any', ['>=', rank, ['step', ['zoom'], 6, 4, 4, 5, 3, 6, 2, 8, 1, 9, 0]], ['all', ['get', 'capital'], ['>=', ['zoom'], 4]]],
        layout: {
          'text-field': ['get', 'name'], 'text-font': FONT, 'text-padding': 6, 'text-max-width': 8,
          'text-size': ['interpolate', ['linear'], ['zoom'], 4, ['+', 9, ['*', 0.3, rank]], 10, ['+', 11, ['*', 0.7, rank]]],
          'symbol-sort-key': ['-', 0, rank], 'text-variable-anchor': ['bottom', 'top', 'left', 'right'], 'text-radial-offset': 0.4, 'text-justify': 'auto'
        },
        paint: { 'text-color': colours.place, 'text-halo-color': colours.halo, 'text-halo-width': 1.3 }
      }
    ]
  }
}

type World = Topology<{ land: GeometryCollection; countries: GeometryCollection }>
const cached = new Map<string, Promise<unknown>>()
function loaded<T>(url: string): Promise<T> {
  let asked = cached.get(url)
  if (!asked) {
    asked = fetch(url).then((response) => response.json())
    cached.set(url, asked)
    asked.catch(() => cached.delete(url))
  }
  return asked as Promise<T>
}

/** Fills the map, coarsely first, then as finely as its zoom needs. */
export async function fillBase(map: MapLibre): Promise<void> {
  const put = (id: string, data: GeoJSON.GeoJSON) => map.getSource<GeoJSONSource>(id)?.setData(data)
  const coasts = async (url: string) => {
    const world = await loaded<World>(url)
    put('land', feature(world, world.objects.land))
    put('borders', mesh(world, world.objects.countries, (a, b) => a !== b))
  }
  let [isFine, hasTowns] = [false, false]
  const refine = () => {
    if (!isFine && map.getZoom() >= FINE_ZOOM) {
      isFine = true
      void coasts(fine).catch(() => (isFine = false))
    }
    if (!hasTowns && map.getZoom() >= TOWNS_ZOOM) {
      hasTowns = true
      void gazetteer().then((all) => put('places', places(all, 0)), () => (hasTowns = false))
    }
  }
  await coasts(coarse)
  const { lakes, rivers } = await loaded<{ lakes: FeatureCollection; rivers: FeatureCollection }>(waters)
  put('lakes', lakes)
  put('rivers', rivers)
  const all = await gazetteer()
  put('countries', points(all.countries.map(({ name, area, at }) => ({ at, properties: { name, area } }))))
  if (!hasTowns) put('places', places(all, CITY_RANK))
  map.on('zoomend', refine)
  refine()
}

function places(all: Gazetteer, rankMin: number): FeatureCollection {
  const capitals = new Set(all.capitals)
  return points(all.names.flatMap((name, at) => {
    const rank = Number(all.ranks[at])
    if (rank < rankMin) return []
    const place = [(all.longitudes[at] ?? 0) / 1000, (all.latitudes[at] ?? 0) / 1000]
    return [{ at: place, properties: { name, rank, capital: capitals.has(at) } }]
  }))
}

interface Named {
  at: number[]
  properties: Record<string, unknown>
}
function points(those: Named[]): FeatureCollection {
  return {
    type: 'FeatureCollection',
    features: those.map(({ at, properties }) => ({ type: 'Feature', properties, geometry: { type: 'Point', coordinates: at } }))
  }
}
