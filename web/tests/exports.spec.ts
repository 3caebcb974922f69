// What a device's day gives away as files: each is of the kind that its name says, and has all that was looked at.
import { readFileSync } from 'node:fs'
import { expect, test, type Page } from '@playwright/test'
import { signIn, site, truck, watch } from './people'
import { lately, records } from './stored'

const DEVICE = truck(1)

/** A file of the menu, as a browser keeps it. */
async function exported(page: Page, label: string, ending: string): Promise<Buffer> {
  await page.getByText('Export', { exact: true }).click()
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: label }).click()])
  expect(file.suggestedFilename()).toBe(`${DEVICE}.${ending}`)
  return readFileSync(await file.path())
}

interface Way {
  type: string
  geometry: { type: 'LineString'; coordinates: number[][] } | { type: 'Point'; coordinates: number[] }
  properties: { device: string }
}
/** A place, longitude first, to the metre. */
const spot = (place: readonly unknown[]) => place.slice(0, 2).map((degrees) => Number(degrees).toFixed(5)).join(' ')

test('a day is exported as KML, GeoJSON, JSON lines and Parquet, each with all of its records', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  const all = await records(page, DEVICE)
  const places = all.map((one) => spot([one['position.longitude'], one['position.latitude']]))
  const moments = all.map(({ time }) => Date.parse(time))
  expect(new Set(places).size).toBeGreaterThan(100)
  await page.goto(`${site()}/devices/${DEVICE}?${lately()}`)
  await expect(page.locator('.u-over').first()).toBeVisible()

  const kml = (await exported(page, 'KML, the track', 'kml')).toString()
  const read = await page.evaluate((text) => {
    const read = new DOMParser().parseFromString(text, 'text/xml')
    const texts = (name: string) => [...read.getElementsByTagName(name)].map((one) => one.textContent ?? '')
    return { root: read.documentElement.localName, names: texts('name'), places: texts('gx:coord'), times: texts('when') }
  }, kml)
  expect([read.root, read.names.at(-1)]).toEqual(['kml', DEVICE])
  expect(read.places.map((place) => spot(place.split(' ')))).toEqual(places)
  expect(read.times.map((time) => Date.parse(time))).toEqual(moments)

  const ways = JSON.parse((await exported(page, 'GeoJSON, the track', 'geojson')).toString()) as { type: string; features: Way[] }
  expect(ways.type).toBe('FeatureCollection')
  // It was not heard for half an hour.
  expect(ways.features.length).toBeGreaterThan(1)
  const points = ways.features.flatMap(({ geometry }) => (geometry.type === 'Point' ? [geometry.coordinates] : geometry.coordinates))
  expect(points.map(spot)).toEqual(places)
  expect([...new Set(ways.features.map(({ type, properties }) => `${type} ${properties.device}`))]).toEqual([`Feature ${DEVICE}`])

  const lines = (await exported(page, 'JSON, an object a line', 'jsonl')).toString().trimEnd().split('\n')
  expect(lines.map((line) => Date.parse((JSON.parse(line) as { time: string }).time))).toEqual(moments)

  const parquet = await exported(page, 'Parquet', 'parquet')
  expect([parquet.subarray(0, 4), parquet.subarray(-4)].map(String)).toEqual(['PAR1', 'PAR1'])
  // What stands before the mark at the end says how long the description of the columns is, which names them.
  const description = parquet.subarray(-8 - parquet.readUInt32LE(parquet.length - 8), -8)
  expect(description.length).toBeLessThan(parquet.length - 12)
  expect(description.toString('latin1')).toContain('temperature_1')
  expect(complaints).toEqual([])
})
