// By whose clocks times and days are read: those of whoever looks, or those where the vehicle is.
import { settings } from './settings.svelte'

/** What this browser's own clock is set to. */
export const localZone = Intl.DateTimeFormat().resolvedOptions().timeZone

/** Where the one vehicle is that a page is about, if a page is about one and that is known. */
const vehicle = $state({ zone: '' })

/** The page of a vehicle says where it is, and takes it back by what this gives. */
export function atVehicle(zone: string | undefined): () => void {
  vehicle.zone = zone && isZone(zone) ? zone : ''
  return () => (vehicle.zone = '')
}

/** The vehicle's zone where times are by it: where times of several vehicles stand together, they never are. */
export function vehicleZone(): string {
  return settings.times === 'vehicle' ? vehicle.zone : ''
}

/** The zone of all times and days on the page. */
export function zone(): string {
  return vehicleZone() || (settings.zone === 'local' ? localZone : settings.zone)
}

const known = new Map<string, boolean>()

/** Whether this browser knows it: its list of zones may be older than the server's. */
function isZone(name: string): boolean {
  let is = known.get(name)
  if (is === undefined) {
    try {
      Intl.DateTimeFormat('en', { timeZone: name })
      is = true
    } catch {
      is = false
    }
    known.set(name, is)
  }
  return is
}
