// What the live stream has told of devices, as it is now: nobody tells that one has fallen silent, only when it will have.
import type { Batch, DeviceStateName, LiveDevice } from '../api/live'

const MINUTE_MS = 60_000

/** A device as it is at a time, if nothing came since it was told. An alarm ends long before there is no signal. */
export function asOf<T extends { state: DeviceStateName; silent_at?: string | null }>(told: T, now = Date.now()): T {
  return told.state !== 'no_signal' && told.silent_at && Date.parse(told.silent_at) <= now ? { ...told, state: 'no_signal' } : told
}

/** Looks once a minute, and when somebody comes back to the page: where nobody is, a browser may let no time pass. */
export function eachMinute(look: () => void): () => void {
  const timer = setInterval(look, MINUTE_MS)
  const back = () => document.hidden || look()
  document.addEventListener('visibilitychange', back)
  return () => {
    clearInterval(timer)
    document.removeEventListener('visibilitychange', back)
  }
}

export class Told {
  readonly devices = new Map<string, LiveDevice>()
  /** Told before all began anew, and not since: they are as they were until the last of it has come. */
  #before = new Set<string>()
  /** Whether all that there is was told once. */
  isWhole = false

  take({ full, left, devices, more }: Batch, now = Date.now()): void {
    if (full) this.#before = new Set(this.devices.keys())
    for (const id of left ?? []) this.devices.delete(id)
    for (const device of devices) {
      // Known by its group alone, it has sent nothing.
      if (!device.received) continue
      this.devices.set(device.device, asOf(device, now))
      this.#before.delete(device.device)
    }
    if (more) return
    this.isWhole = true
    for (const id of this.#before) this.devices.delete(id)
    this.#before.clear()
  }

  /** Whether one has fallen silent. */
  fade(now = Date.now()): boolean {
    let has = false
    for (const [id, told] of this.devices) {
      const device = asOf(told, now)
      if (device === told) continue
      this.devices.set(id, device)
      has = true
    }
    return has
  }

  clear(): void {
    this.isWhole = false
    this.devices.clear()
    this.#before.clear()
  }
}
