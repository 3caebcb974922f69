// How archives of tiles are drawn, by what they say of themselves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { featureFilter, validateStyleMin } from '@maplibre/maplibre-gl-style-spec'
import type { LayerSpecification, StyleSpecification } from 'maplibre-gl'
import { PMTiles, zxyToTileId, type Source } from 'pmtiles'
import { described, grounded, hold, whyNot, withArchive } from '../../src/map/archive'
import { palette } from '../../src/map/colours'
import { archiveStyle, GROUND, hasGround, type Archive } from '../../src/map/layers'
import { archive, tileId, vectorTile } from '../archive'

const PROTOMAPS = ['boundaries', 'buildings', 'earth', 'landcover', 'landuse', 'places', 'pois', 'roads', 'water']
const OPEN_MAP_TILES = ['aeroway', 'boundary', 'building', 'landcover', 'landuse', 'park', 'place', 'transportation', 'transportation_name', 'water', 'water_name', 'waterway']

const base: StyleSpecification = {
  version: 8,
  sources: { places: { type: 'geojson', data: { type: 'FeatureCollection', features: [] } } },
  layers: [
    { id: 'water', type: 'background' },
    { id: 'dots', type: 'circle', source: 'places' },
    { id: 'places', type: 'symbol', source: 'places', layout: { 'text-field': ['get', 'name'], 'text-font': ['Inter Variable'] } }
  ]
}

function made(layers: readonly string[], more: Partial<Archive> = {}, isDark = false): StyleSpecification {
  const about: Archive = { tiles: 'archive://1/{z}/{x}/{y}', isRaster: false, layers, zooms: [0, 14], bounds: [5, 47, 15, 55], attribution: 'somebody', ...more }
  const style = archiveStyle(base, about, { colours: palette(isDark), font: ['Inter Variable'], language: 'de' })
  // There are letters without files of them: the browser draws them.
  const errors = validateStyleMin(style).map(({ message }) => message).filter((message) => !message.includes('glyphs'))
  assert.deepEqual(errors, [])
  return style
}
const ids = ({ layers }: StyleSpecification) => layers.map(({ id }) => id)

/** The layers that draw a thing, without their beginning. */
function drawing(style: StyleSpecification, layer: string, shape: 1 | 2 | 3, properties: Record<string, unknown>, zoom = 15): string[] {
  const draws = (one: LayerSpecification) => {
    if (!('source-layer' in one) || one['source-layer'] !== layer || zoom < (one.minzoom ?? 0) || zoom >= (one.maxzoom ?? 24)) return false
    return featureFilter(one.filter, 'filter').filter({ zoom } as never, { type: shape, properties, geometry: [] } as never)
  }
  return style.layers.filter(draws).map(({ id }) => id.replace('archive-', ''))
}

test('an archive of Protomaps is drawn by its kinds', () => {
  const style = made(PROTOMAPS)
  const check = (layer: string, shape: 1 | 2 | 3, kind: string, expected: string[], zoom?: number) => assert.deepEqual(drawing(style, layer, shape, { kind }, zoom), expected, `${layer} ${kind}`)
  check('earth', 3, 'earth', ['land-earth'])
  check('earth', 2, 'cliff', [])
  check('water', 3, 'ocean', ['water-water'])
  check('water', 2, 'river', ['rivers', 'river-names-water'])
  check('water', 1, 'lake', ['water-names'])
  check('landuse', 3, 'forest', ['green-landuse'])
  check('landuse', 3, 'residential', ['built-landuse'])
  check('landuse', 3, 'farmland', [])
  check('landcover', 3, 'forest', ['green-landcover'], 3)
  check('buildings', 3, 'building', ['building-buildings'])
  check('buildings', 3, 'building', [], 13)
  check('roads', 2, 'highway', ['highway-edge', 'highway', 'road-names', 'road-numbers'])
  check('roads', 2, 'highway', ['highway-edge', 'highway'], 7)
  check('roads', 2, 'major_road', ['main-edge', 'main', 'road-names', 'road-numbers'])
  check('roads', 2, 'minor_road', ['minor-edge', 'minor', 'road-names'])
  check('roads', 2, 'a kind of later versions', ['minor-edge', 'minor', 'road-names'])
  check('roads', 2, 'path', ['paths'])
  check('roads', 2, 'rail', ['rails'])
  check('roads', 2, 'ferry', ['ferries'])
  check('roads', 2, 'aeroway', ['runways', 'road-names'])
  check('boundaries', 2, 'country', ['borders'])
  check('boundaries', 2, 'region', ['regions'])
  check('boundaries', 2, 'county', [])
  check('places', 1, 'country', ['countries'], 4)
  check('places', 1, 'region', ['regions-names'], 6)
  check('places', 1, 'locality', ['towns'])
  check('places', 1, 'neighbourhood', ['quarters'])
  check('pois', 1, 'cafe', [])
})

test('an archive of OpenMapTiles is drawn by its classes', () => {
  const style = made(OPEN_MAP_TILES)
  const check = (layer: string, shape: 1 | 2 | 3, about: string | Record<string, unknown>, expected: string[], zoom?: number) =>
    assert.deepEqual(drawing(style, layer, shape, typeof about === 'string' ? { class: about } : about, zoom), expected, `${layer} ${JSON.stringify(about)}`)
  check('water', 3, 'ocean', ['water-water'])
  check('waterway', 2, 'river', ['rivers', 'river-names-waterway'])
  check('water_name', 1, 'lake', ['water-names'])
  check('landcover', 3, 'wood', ['green-landcover'])
  check('landcover', 3, 'sand', [])
  check('park', 3, 'nature_reserve', ['green-park'])
  check('landuse', 3, 'industrial', ['built-landuse'])
  check('transportation', 2, 'motorway', ['highway-edge', 'highway'])
  check('transportation', 2, 'tertiary', ['main-edge', 'main'])
  check('transportation', 2, 'service', ['minor-edge', 'minor'])
  check('transportation', 2, 'track', ['paths'])
  check('transportation', 2, 'transit', ['rails'])
  check('transportation', 3, 'pedestrian', [])
  check('transportation_name', 2, 'motorway', ['road-names', 'road-numbers'])
  check('aeroway', 2, 'runway', ['runways'])
  check('building', 3, {}, ['building-building'])
  check('boundary', 2, { admin_level: 2, maritime: 0 }, ['borders'])
  check('boundary', 2, { admin_level: 2, maritime: 1 }, [])
  check('boundary', 2, { admin_level: 4, maritime: 0 }, ['regions'])
  check('boundary', 2, { admin_level: 8 }, [])
  check('place', 1, 'country', ['countries'], 4)
  check('place', 1, 'town', ['towns'])
  check('place', 1, 'suburb', ['quarters'])
})

test('names are those of the language that is wanted, and else their own', () => {
  const towns = made(PROTOMAPS).layers.find(({ id }) => id === 'archive-towns')
  assert.ok(towns?.type === 'symbol')
  assert.deepEqual(towns.layout?.['text-field'], ['coalesce', ['get', 'name:de'], ['get', 'name:latin'], ['get', 'name']])
  assert.deepEqual(towns.layout?.['text-font'], ['Inter Variable'])
})

test('light and dark are drawn in their own colours', () => {
  const land = (isDark: boolean) => made(PROTOMAPS, {}, isDark).layers.flatMap((layer) => (layer.id === 'archive-land-earth' && layer.type === 'fill' ? [layer.paint?.['fill-color']] : []))
  assert.deepEqual(land(false), [palette(false).land])
  assert.deepEqual(land(true), [palette(true).land])
})

test('layers that nobody knows are drawn plainly, and the built-in map stays below', () => {
  const style = made(['zones', 'depots', 'roads'])
  assert.equal(hasGround({ isRaster: false, layers: ['zones', 'depots', 'roads'] }), false, 'one name in common is chance')
  assert.deepEqual(drawing(style, 'zones', 3, {}), ['area-zones', 'line-zones'])
  assert.deepEqual(drawing(style, 'zones', 2, {}), ['line-zones'])
  assert.deepEqual(drawing(style, 'depots', 1, {}), ['point-depots'])
  assert.deepEqual(drawing(style, 'roads', 2, { kind: 'path' }), ['line-roads'])
  const [below, ...above] = [ids(style)[0], ...ids(style).slice(-2)]
  assert.deepEqual([below, above], ['water', ['dots', 'places']], 'the names that are there stay above')
  const beside = made([...PROTOMAPS, 'zones'])
  assert.deepEqual(drawing(beside, 'zones', 2, {}), ['line-zones'])
  assert.ok(ids(beside).indexOf('archive-line-zones') < ids(beside).indexOf('archive-towns'))
})

test('the built-in map is hidden where an archive with land and water has a tile', () => {
  const style = made(PROTOMAPS)
  assert.deepEqual(ids(style).slice(0, 4), ['water', 'dots', 'places', 'archive-ground'])
  assert.deepEqual(drawing(style, GROUND, 3, {}), ['ground'])
  assert.equal(hasGround({ isRaster: false, layers: OPEN_MAP_TILES }), true)
  assert.equal(hasGround({ isRaster: false, layers: ['roads', 'places', 'boundaries'] }), false)
  assert.equal(hasGround({ isRaster: true, layers: PROTOMAPS }), false)
  // Without places of its own, those that are there are above it.
  assert.deepEqual(ids(made(['water', 'earth', 'roads'])).slice(-2), ['dots', 'places'])
})

test('pictures are shown as they are, above the built-in map', () => {
  const style = made([], { isRaster: true, bounds: undefined, attribution: undefined })
  assert.deepEqual(ids(style), ['water', 'dots', 'places', 'archive'])
  assert.deepEqual(style.sources.archive, { type: 'raster', tileSize: 256, tiles: ['archive://1/{z}/{x}/{y}'], minzoom: 0, maxzoom: 14 })
  assert.deepEqual(made(PROTOMAPS).sources.archive, { type: 'vector', tiles: ['archive://1/{z}/{x}/{y}'], minzoom: 0, maxzoom: 14, bounds: [5, 47, 15, 55], attribution: 'somebody' })
})

test('an archive with any number of layers makes a bounded style', () => {
  assert.equal(made(Array.from({ length: 5000 }, (_, n) => `layer ${n}`)).layers.length, base.layers.length + 300)
})

test('metadata may be anything', () => {
  for (const nothing of [undefined, null, 7, 'x', [], {}, { vector_layers: 'x', attribution: {} }, { vector_layers: [null, 'x', {}, { id: 7 }, { id: '' }] }]) {
    assert.deepEqual(described(nothing), { layers: [], attribution: undefined }, JSON.stringify(nothing))
  }
  const said = described({ vector_layers: [{ id: 'water' }, { id: 'roads', fields: {} }, { id: 'water' }], attribution: 'x'.repeat(5000) })
  assert.deepEqual([said.layers, said.attribution?.length], [['water', 'roads'], 1000])
})

test('the ground is one layer more at the end of a tile', () => {
  const tile = vectorTile({ water: [{ shape: 'area', parts: [[[0, 0], [9, 0], [9, 9]]] }] })
  const all = Buffer.from(grounded(new Uint8Array(tile).buffer))
  assert.deepEqual(all.subarray(0, tile.length), tile)
  // As the helper of these tests writes it, which knows nothing of the page's.
  assert.deepEqual(all.subarray(tile.length), vectorTile({ [GROUND]: [{ shape: 'area', parts: [[[-64, -64], [4160, -64], [4160, 4160], [-64, 4160]]] }] }))
})

test('archives that these tests make are read by the library', async () => {
  for (const at of [[0, 0, 0], [1, 1, 0], [1, 0, 1], [5, 17, 11], [14, 8653, 5677]] as const) assert.equal(tileId(at), zxyToTileId(at[0], at[1], at[2]), String(at))
  const tiles = [[0, 0, 0], [10, 540, 355], [2, 1, 3]].map(([z = 0, x = 0, y = 0]) => ({ at: [z, x, y] as const, bytes: Buffer.from(`tile ${z}`) }))
  const bytes = archive({ kind: 'vector', tiles, metadata: { vector_layers: [{ id: 'water' }] }, bounds: [5, 47, 15, 55] })
  const source: Source = { getKey: () => 'x', getBytes: async (offset, length) => ({ data: new Uint8Array(bytes.subarray(offset, offset + length)).buffer }) }
  const read = new PMTiles(source)
  const { minZoom, maxZoom, minLon, maxLat, tileType } = await read.getHeader()
  assert.deepEqual([minZoom, maxZoom, minLon, maxLat, tileType], [0, 10, 5, 55, 1])
  assert.deepEqual(described(await read.getMetadata()).layers, ['water'])
  for (const { at, bytes: tile } of tiles) assert.equal(new TextDecoder().decode((await read.getZxy(at[0], at[1], at[2]))?.data), tile.toString())
  assert.equal(await read.getZxy(1, 0, 0), undefined)
})

test('a file is let go with the last map that shows it', async () => {
  const bytes = archive({ kind: 'vector', tiles: [{ at: [0, 0, 0], bytes: vectorTile({ water: [] }) }], metadata: { vector_layers: [{ id: 'water', fields: {} }] } })
  const file = new File([new Uint8Array(bytes)], 'world.pmtiles')
  let tile: (request: { url: string }, control: AbortController) => Promise<{ data: ArrayBuffer }> = () => Promise.reject(new Error('nothing was opened'))
  const library = { addProtocol: (_: string, load: typeof tile) => (tile = load) } as never
  const look = { colours: palette(false), font: ['Inter Variable'], language: 'de' }
  const open = async () => {
    const style = await withArchive(library, base, file, look)
    const [source] = Object.values(style.sources).flatMap((one) => ('tiles' in one ? (one.tiles ?? []) : []))
    return (source ?? '').replace('{z}/{x}/{y}', '0/0/0')
  }
  const read = (url: string) => tile({ url }, new AbortController()).then(({ data }) => data.byteLength > 0, () => false)

  const first = hold(file)
  const url = await open()
  assert.equal(await read(url), true)
  const second = hold(file)
  assert.equal(await open(), url, 'two maps read it together')
  // Whoever only asks whether it is one takes it from nobody.
  assert.equal(await whyNot(file), undefined)
  first()
  first()
  assert.equal(await read(url), true)
  second()
  assert.equal(await read(url), false)
  // It is there for another map.
  const again = hold(file)
  const other = await open()
  assert.notEqual(other, url)
  assert.deepEqual([await read(other), await read(url)], [true, false])
  again()
  assert.equal(await whyNot(file), undefined)
  assert.equal(await read(other), false)
})
