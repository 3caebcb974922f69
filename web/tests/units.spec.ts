// Units that people choose for themselves: in lists, at devices and in charts, and back again.
import { expect, test } from '@playwright/test'
import { isAccessible, signIn, site, truck, watch } from './people'
import { drive } from './server'
import { lately } from './stored'

test('who wants imperial units reads mph, °F and miles everywhere, and metric ones when they are wanted again', async ({ page }) => {
  const complaints = watch(page)
  await signIn(page)
  // It goes 76 km/h then, at 19 degrees below zero.
  await drive(2, 185)
  const row = page.getByRole('listbox', { name: 'Devices' }).getByRole('option')
  const reading = (name: string) => page.locator(`.reading[title="${name}"]`)
  const reads = async (speed: string, speedUnit: string, degrees: string, degreesUnit: string, distanceUnit: string) => {
    await page.goto(`${site()}/?q=${truck(2)}`)
    await expect(row).toContainText(`${speed} ${speedUnit}`)
    await expect(row.locator('.value')).toContainText(`${degrees}${degreesUnit}`)
    await page.goto(`${site()}/devices/${truck(2)}?${lately()}&p=temperature.1,position.speed`)
    await expect(page.locator('header .state')).toContainText(`${speed} ${speedUnit}`)
    await expect(page.locator('header .cold')).toContainText(`${degrees} ${degreesUnit}`)
    for (const [name, value, unit] of [['temperature.1', degrees, degreesUnit], ['position.speed', speed, speedUnit]] as const) {
      await expect(reading(name).locator('b')).toHaveText(value)
      await expect(page.locator('.legend').filter({ has: reading(name) }).locator('.unit')).toHaveText(unit)
    }
    await expect(page.locator('.sum')).toContainText(new RegExp(`^\\s*[\\d.]+ ${distanceUnit}\\b`))
  }
  await reads('76', 'km/h', '\u221219.0', '°C', 'km')
  await page.goto(`${site()}/settings`)
  await page.getByRole('radio', { name: 'Imperial' }).check()
  await isAccessible(page)
  await reads('47', 'mph', '\u22122.2', '°F', 'mi')
  await page.goto(`${site()}/settings`)
  await expect(page.getByRole('radio', { name: 'Imperial' })).toBeChecked()
  await page.getByRole('radio', { name: 'Metric' }).check()
  await reads('76', 'km/h', '\u221219.0', '°C', 'km')
  expect(complaints).toEqual([])
})
