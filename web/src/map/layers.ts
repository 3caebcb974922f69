// How the tiles of an archive are drawn, by what the archive says of its layers: two usual schemas in our own colours, everything else plainly.
import type { ExpressionSpecification as Expression, LayerSpecification as Layer, StyleSpecification } from 'maplibre-gl'
import type { Palette } from './colours'

/** What an archive says of itself. */
export interface Archive {
  /** Where its tiles are asked for. */
  tiles: string
  isRaster: boolean
  /** The names of its vector layers. */
  layers: readonly string[]
  zooms: readonly [number, number]
  bounds: readonly [number, number, number, number] | undefined
  /** Whom it wants to be named: HTML, of which the map takes links and text. */
  attribution: string | undefined
}

export interface Look {
  colours: Palette
  font: readonly string[]
  /** The language that names are wanted in, where the archive has them: `de`. */
  language: string
}

/** A layer of the archive, and the kinds in it. */
type Part = readonly [layer: string, ...kinds: string[]]

/** Where things are in archives of one origin. */
interface Schema {
  /** All its layers: those that are not drawn are left out on purpose. */
  known: readonly string[]
  /** What the kind of a thing is called. */
  key: string
  land: string | undefined
  green: readonly Part[]
  built: readonly Part[]
  /** Rivers as lines, beside the areas of `water`. */
  rivers: string
  waterNames: string
  buildings: string
  /** All roads are minor ones that are named nowhere else. */
  roads: { layer: string; names: string; highway: string[]; main: string[]; path: string[]; rail: string[]; ferry: string[] }
  runways: Part
  borders: { layer: string; country: Expression; region: Expression }
  places: { layer: string; country: string[]; region: string[]; town: string[]; /** What tells a city from a village. */ size: string; /** The smallest first. */ order: Expression }
}

const get = (name: string): Expression => ['get', name]
const is = (key: string, kinds: readonly string[]): Expression => ['match', get(key), [...kinds], true, false]

/** https://docs.protomaps.com/basemaps/layers, version 4. */
const PROTOMAPS: Schema = {
  known: ['boundaries', 'buildings', 'earth', 'landcover', 'landuse', 'places', 'pois', 'roads', 'transit', 'water'],
  key: 'kind',
  land: 'earth',
  green: [
    ['landcover', 'forest', 'grassland', 'scrub'],
    ['landuse', 'forest', 'wood', 'scrub', 'grass', 'meadow', 'wetland', 'park', 'garden', 'cemetery', 'golf_course', 'recreation_ground', 'orchard', 'national_park', 'nature_reserve', 'protected_area']
  ],
  built: [
    ['landcover', 'urban_area'],
    ['landuse', 'residential', 'industrial', 'commercial', 'railway', 'hospital', 'school', 'university', 'college', 'aerodrome', 'military', 'pedestrian', 'pier']
  ],
  rivers: 'water',
  waterNames: 'water',
  buildings: 'buildings',
  roads: { layer: 'roads', names: 'roads', highway: ['highway'], main: ['major_road'], path: ['path', 'aerialway', 'pier', 'other'], rail: ['rail'], ferry: ['ferry'] },
  runways: ['roads', 'aeroway'],
  borders: { layer: 'boundaries', country: is('kind', ['country']), region: is('kind', ['region']) },
  places: {
    layer: 'places', country: ['country'], region: ['region'], town: ['locality'], size: 'kind_detail',
    order: ['-', 0, ['to-number', get('population_rank'), 0]]
  }
}

/** https://openmaptiles.org/schema/ */
const OPEN_MAP_TILES: Schema = {
  known: [
    'aerodrome_label', 'aeroway', 'boundary', 'building', 'globallandcover', 'housenumber', 'landcover', 'landuse', 'mountain_peak', 'park',
    'place', 'poi', 'transportation', 'transportation_name', 'water', 'water_name', 'waterway'
  ],
  key: 'class',
  land: undefined,
  green: [['landcover', 'wood', 'grass', 'wetland'], ['landuse', 'cemetery', 'pitch', 'playground'], ['park']],
  built: [['landuse', 'residential', 'suburb', 'quarter', 'neighbourhood', 'industrial', 'commercial', 'retail', 'railway', 'hospital', 'school', 'university', 'college', 'military', 'garages']],
  rivers: 'waterway',
  waterNames: 'water_name',
  buildings: 'building',
  roads: {
    layer: 'transportation', names: 'transportation_name', highway: ['motorway'], main: ['trunk', 'primary', 'secondary', 'tertiary'],
    path: ['path', 'track', 'aerialway', 'cable_car', 'gondola', 'pier', 'bridge'], rail: ['rail', 'transit'], ferry: ['ferry']
  },
  runways: ['aeroway', 'runway', 'taxiway'],
  borders: {
    layer: 'boundary',
    country: ['all', ['<=', ['to-number', get('admin_level'), 99], 2], ['!=', get('maritime'), 1]],
    region: ['all', ['match', get('admin_level'), [3, 4], true, false], ['!=', get('maritime'), 1]]
  },
  places: {
    layer: 'place', country: ['country'], region: ['state', 'province'], town: ['city', 'town', 'village'], size: 'class',
    order: ['to-number', get('rank'), 99]
  }
}

/** Fewer layers than this in common are chance. */
const ALIKE_MIN = 2

function schemaOf(layers: readonly string[]): Schema | undefined {
  const common = ({ known }: Schema) => layers.filter((name) => known.includes(name)).length
  const [best] = [PROTOMAPS, OPEN_MAP_TILES].sort((one, other) => common(other) - common(one))
  return best && common(best) >= ALIKE_MIN ? best : undefined
}

/** Whether the archive has land and water, so that the built-in map is hidden where it has a tile. */
export function hasGround({ isRaster, layers }: Pick<Archive, 'isRaster' | 'layers'>): boolean {
  const schema = isRaster ? undefined : schemaOf(layers)
  return schema !== undefined && (layers.includes('water') || (schema.land !== undefined && layers.includes(schema.land)))
}

/** The layer that tiles of an archive with a ground are given, which covers all of the tile. */
export const GROUND = 'odograph-ground'
const SOURCE = 'archive'

/** A style like the one of the built-in map, with the archive above it. */
export function archiveStyle(base: StyleSpecification, archive: Archive, look: Look): StyleSpecification {
  const { tiles, isRaster, layers, zooms: [minzoom, maxzoom], bounds, attribution } = archive
  const about = { tiles: [tiles], minzoom, maxzoom, ...(bounds ? { bounds: [...bounds] as [number, number, number, number] } : {}), ...(attribution ? { attribution } : {}) }
  const source = isRaster ? { type: 'raster' as const, tileSize: 256, ...about } : { type: 'vector' as const, ...about }
  const own: Layer[] = isRaster ? [{ id: SOURCE, type: 'raster', source: SOURCE, paint: { 'raster-fade-duration': 0 } }] : vectorLayers(layers, look)
  // Names of the built-in map are hidden where the archive has names, and stand above what has none.
  const names = base.layers.filter(({ type }) => type === 'symbol' || type === 'circle')
  const isNamed = isRaster || (hasGround(archive) && layers.includes(schemaOf(layers)?.places.layer ?? ''))
  const ordered = isNamed ? [...base.layers, ...own] : [...base.layers.filter((layer) => !names.includes(layer)), ...own, ...names]
  return { ...base, sources: { ...base.sources, [SOURCE]: source }, layers: ordered }
}

function vectorLayers(all: readonly string[], look: Look): Layer[] {
  // An archive may name any number of layers.
  const layers = all.slice(0, LAYERS_MAX)
  const schema = schemaOf(layers)
  const ground: Layer[] = hasGround({ isRaster: false, layers })
    ? [{ id: 'archive-ground', type: 'fill', source: SOURCE, 'source-layer': GROUND, paint: { 'fill-color': look.colours.land, 'fill-antialias': false } }]
    : []
  const drawn = schema ? schemaLayers(schema, look).filter((layer) => 'source-layer' in layer && layers.includes(layer['source-layer'] ?? '')) : []
  const others = layers.filter((name) => !schema?.known.includes(name)).flatMap((name) => plainly(name, look.colours))
  // What is not known lies below the names of what is.
  const at = drawn.findIndex(({ type }) => type === 'symbol')
  return [...ground, ...(at < 0 ? [...drawn, ...others] : [...drawn.slice(0, at), ...others, ...drawn.slice(at)])]
}

/** Each layer is some of the map's, all of which are looked at for each frame. */
const LAYERS_MAX = 100

type Shape = 'Polygon' | 'LineString' | 'Point'
const shaped = (shape: Shape, filter?: Expression): Expression => (filter ? ['all', ['==', ['geometry-type'], shape], filter] : ['==', ['geometry-type'], shape])
/** As many of the first at the first zoom as said, and so on: it grows faster the nearer one is. */
const grown = (...stops: number[]): Expression => ['interpolate', ['exponential', 1.5], ['zoom'], ...stops] as unknown as Expression

function plainly(name: string, colours: Palette): Layer[] {
  const of = { source: SOURCE, 'source-layer': name }
  return [
    { id: `archive-area-${name}`, type: 'fill', ...of, filter: shaped('Polygon'), paint: { 'fill-color': colours.place, 'fill-opacity': 0.12 } },
    { id: `archive-line-${name}`, type: 'line', ...of, filter: ['!', shaped('Point')], paint: { 'line-color': colours.place, 'line-width': 1.2 } },
    { id: `archive-point-${name}`, type: 'circle', ...of, filter: shaped('Point'), paint: { 'circle-color': colours.place, 'circle-radius': 2.5 } }
  ]
}

/** All that archives of a schema may have, from the ground up. */
function schemaLayers(schema: Schema, look: Look): Layer[] {
  const { colours } = look
  const area = (id: string, [layer, ...kinds]: Part, colour: string, minzoom = 0): Layer => ({
    id: `archive-${id}-${layer}`, type: 'fill', source: SOURCE, 'source-layer': layer, minzoom,
    filter: shaped('Polygon', kinds.length > 0 ? is(schema.key, kinds) : undefined), paint: { 'fill-color': colour }
  })
  const line = (id: string, layer: string, filter: Expression | undefined, colour: string, width: Expression, more: { minzoom?: number; dash?: number[] } = {}): Layer => ({
    id: `archive-${id}`, type: 'line', source: SOURCE, 'source-layer': layer, minzoom: more.minzoom ?? 0, filter: shaped('LineString', filter),
    layout: { 'line-join': 'round', 'line-cap': more.dash ? 'butt' : 'round' },
    paint: { 'line-color': colour, 'line-width': width, ...(more.dash ? { 'line-dasharray': more.dash } : {}) }
  })
  const { roads, borders, runways: [runwayLayer, ...runways] } = schema
  const named = [...roads.highway, ...roads.main, ...roads.path, ...roads.rail, ...roads.ferry, ...(runwayLayer === roads.layer ? runways : [])]
  const of = (kinds: string[]) => is(schema.key, kinds)
  const road = (id: string, kinds: Expression, colour: string, width: Expression, minzoom: number) => line(id, roads.layer, kinds, colour, width, { minzoom })
  return [
    ...(schema.land ? [area('land', [schema.land], colours.land)] : []),
    ...schema.green.map((part) => area('green', part, colours.green)),
    ...schema.built.map((part) => area('built', part, colours.built)),
    area('water', ['water'], colours.water),
    line('rivers', schema.rivers, undefined, colours.water, grown(7, 0.5, 12, 1.6, 16, 6), { minzoom: 7 }),
    area('building', [schema.buildings], colours.building, 14),
    line('runways', runwayLayer, is(schema.key, runways), colours.casing, grown(11, 1, 16, 18), { minzoom: 11 }),
    line('ferries', roads.layer, of(roads.ferry), colours.river, grown(7, 0.8, 14, 1.4), { minzoom: 7, dash: [3, 3] }),
    line('paths', roads.layer, of(roads.path), colours.casing, grown(13, 0.6, 17, 2), { minzoom: 13, dash: [3, 2] }),
    // All edges first, so that roads run into each other.
    road('minor-edge', ['!', of(named)], colours.casing, grown(12, 0.8, 14, 2.6, 17, 12), 12),
    road('main-edge', of(roads.main), colours.casing, grown(8, 0.8, 12, 3.2, 17, 17), 7),
    road('highway-edge', of(roads.highway), colours.casing, grown(5, 0.9, 9, 2.6, 12, 4.6, 17, 20), 5),
    line('rails', roads.layer, of(roads.rail), colours.rail, grown(9, 0.5, 14, 1.4, 17, 3), { minzoom: 9 }),
    road('minor', ['!', of(named)], colours.road, grown(12, 0.3, 14, 1.6, 17, 10), 12.5),
    road('main', of(roads.main), colours.road, grown(8, 0.2, 12, 2, 17, 14), 9),
    road('highway', of(roads.highway), colours.mainRoad, grown(5, 0.5, 9, 1.6, 12, 3.2, 17, 17), 6),
    line('regions', borders.layer, borders.region, colours.border, grown(4, 0.4, 10, 1), { minzoom: 4, dash: [3, 2] }),
    line('borders', borders.layer, borders.country, colours.border, grown(2, 0.6, 8, 1.4)),
    ...names(schema, look)
  ]
}

function names({ key, roads, rivers, waterNames, places }: Schema, { colours, font, language }: Look): Layer[] {
  const name: Expression = ['coalesce', get(`name:${language}`), get('name:latin'), get('name')]
  const label = (id: string, layer: string, filter: Expression, colour: string, layout: Extract<Layer, { type: 'symbol' }>['layout'], zooms: { minzoom?: number; maxzoom?: number } = {}): Layer => ({
    id: `archive-${id}`, type: 'symbol', source: SOURCE, 'source-layer': layer, filter, ...zooms,
    layout: { 'text-field': name, 'text-font': [...font], 'text-max-width': 8, 'text-padding': 4, ...layout },
    paint: { 'text-color': colour, 'text-halo-color': colours.halo, 'text-halo-width': 1.3 }
  })
  const bySize = (city: number, town: number, other: number): Expression => ['match', get(places.size), 'city', city, 'town', town, other]
  const capitals = { 'text-letter-spacing': 0.12, 'text-transform': 'uppercase' as const }
  const one = [...places.country, ...places.region, ...places.town]
  const isRoad: Expression = ['!', is(key, [...roads.rail, ...roads.ferry, ...roads.path])]
  // Later ones are placed first.
  return [
    label('road-names', roads.names, shaped('LineString', isRoad), colours.roadName, { 'symbol-placement': 'line', 'text-size': 11, 'symbol-spacing': 320 }, { minzoom: 13 }),
    label('road-numbers', roads.names, shaped('LineString', is(key, [...roads.highway, ...roads.main])), colours.roadName, { 'text-field': ['coalesce', get('ref'), ''], 'symbol-placement': 'line', 'text-rotation-alignment': 'viewport', 'text-size': 10.5, 'symbol-spacing': 420 }, { minzoom: 8 }),
    ...[...new Set([rivers, waterNames])].map((layer) => label(`river-names-${layer}`, layer, shaped('LineString'), colours.waterName, { 'symbol-placement': 'line', 'text-size': 11, 'symbol-spacing': 420 }, { minzoom: 11 })),
    label('water-names', waterNames, shaped('Point'), colours.waterName, { 'text-size': 11 }, { minzoom: 4 }),
    label('quarters', places.layer, shaped('Point', ['!', is(key, one)]), colours.roadName, { 'text-size': 11.5, 'symbol-sort-key': places.order }, { minzoom: 12 }),
    label('regions-names', places.layer, shaped('Point', is(key, places.region)), colours.country, { ...capitals, 'text-size': 10 }, { minzoom: 5, maxzoom: 8 }),
    label('towns', places.layer, shaped('Point', is(key, places.town)), colours.place, {
      'text-size': ['interpolate', ['linear'], ['zoom'], 4, bySize(11, 10, 9), 10, bySize(16, 13, 11), 15, bySize(20, 16, 13)], 'symbol-sort-key': places.order
    }, { minzoom: 3 }),
    label('countries', places.layer, shaped('Point', is(key, places.country)), colours.country, { ...capitals, 'text-size': ['interpolate', ['linear'], ['zoom'], 2, 10, 6, 14], 'text-max-width': 7 }, { maxzoom: 7 })
  ]
}
