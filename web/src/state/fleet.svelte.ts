// The fleet: what people say of devices (the catalog) and what they do now (the live stream), as one list.
import { api, Problem, type Schemas } from '../api/client'
import { LiveStream, type DeviceStateName, type LiveDevice } from '../api/live'

export type Device = Schemas['Device']

/** More devices than these are not all kept in the browser: search finds the others. */
export const DEVICES_MAX = 10_000
const PAGE = 1000
/** With more devices than these, what depends on all of them is worked out once in a while only. */
const LARGE = 1000
const LARGE_PAUSE_MS = 1000
/** Two values of one device are compared for a trend if they are so far apart. */
const TREND_MS = 5 * 60_000

/** Parameters that lists and markers show. */
export const LIST_PARAMETERS = [
  'position.speed', 'position.direction', 'alarm', 'engine.ignition.status', 'door.status', 'reefer.alarm.severity'
]

export type Trend = 'up' | 'down' | 'level' | undefined

class Fleet {
  devices = $state.raw<Device[]>([])
  groups = $state.raw<Schemas['Group'][]>([])
  isLoaded = $state(false)
  isConnected = $state(true)
  /** Why it is not, where the server says so. */
  whyNot = $state.raw<Problem | undefined>()
  isCapped = $state(false)
  problem = $state<Problem | undefined>()
  #live = new Map<string, LiveDevice>()
  // One signal for all: with one for each device, what counts ten thousand of them has as many to ask whenever one changes.
  #told = $state(0)
  #toldAt = -Infinity
  #telling: ReturnType<typeof setTimeout> | undefined
  #stream: LiveStream | undefined
  #parameters = ''
  #before = new Map<string, { at: number; value: number; trend: Trend }>()
  #reload: ReturnType<typeof setTimeout> | undefined

  /** Begins, or begins anew with another value in the list. */
  watch(value: string): void {
    const parameters = [...LIST_PARAMETERS, value].join(',')
    if (this.#stream && this.#parameters === parameters) return
    this.#stream?.close()
    this.#before.clear()
    this.#parameters = parameters
    if (!this.isLoaded) void this.load()
    this.#stream = new LiveStream({ parameters }, {
      batch: (batch) => {
        if (batch.full) this.#live.clear()
        for (const id of batch.left ?? []) this.#live.delete(id)
        let isNew = false
        for (const device of batch.devices) {
          const isListed = this.#known.has(device.device)
          // Of those that the list does not have, nothing is shown.
          if (this.isCapped && !isListed) continue
          isNew ||= !isListed && !this.#live.has(device.device)
          this.#live.set(device.device, device)
          this.#remember(device, value)
        }
        this.#tell()
        // A device that registered itself has an entry in the catalog a moment later.
        if (isNew && this.isLoaded && !this.isCapped) this.#later()
      },
      connected: (is, why) => ([this.isConnected, this.whyNot] = [is, why])
    })
  }

  /** What a device does now, as far as it has said so. */
  live(id: string): LiveDevice | undefined {
    void this.#told
    return this.#live.get(id)
  }

  /** How many devices have said so. */
  get liveCount(): number {
    void this.#told
    return this.#live.size
  }

  #tell(): void {
    if (this.#telling !== undefined) return
    const pause = this.#live.size <= LARGE ? 0 : this.#toldAt + LARGE_PAUSE_MS - performance.now()
    if (pause <= 0) {
      this.#toldAt = performance.now()
      this.#told += 1
    } else
      this.#telling = setTimeout(() => {
        this.#telling = undefined
        this.#tell()
      }, pause)
  }

  #known = new Set<string>()

  /** What was asked for before it grew is of somebody else. */
  #era = 0

  async load(): Promise<void> {
    const era = this.#era
    try {
      const page = (cursor?: string) => api.get('/api/v1/devices', { query: { order: 'name', limit: PAGE, cursor } })
      const [groups, first] = await Promise.all([api.get('/api/v1/groups'), page()])
      const devices = [...first.devices]
      let cursor = first.next ?? undefined
      while (cursor && devices.length < DEVICES_MAX) {
        const more = await page(cursor)
        devices.push(...more.devices)
        cursor = more.next ?? undefined
      }
      if (era !== this.#era) return
      this.groups = groups
      this.isCapped = cursor !== undefined
      this.#known = new Set(devices.map(({ id }) => id))
      if (this.isCapped) for (const id of this.#live.keys()) if (!this.#known.has(id)) this.#live.delete(id)
      this.devices = devices
      this.problem = undefined
      this.isLoaded = true
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      if (era === this.#era) this.problem = error
    }
  }

  #later(): void {
    clearTimeout(this.#reload)
    this.#reload = setTimeout(() => void this.load(), 1000)
  }

  /** Forgets all of it: another tenant's is asked for, or somebody else's. */
  forget(): void {
    this.stop()
    this.#era += 1
    this.#known.clear()
    this.problem = undefined
    this.isCapped = false
    this.isConnected = true
    this.#live.clear()
    this.#told += 1
    this.#before.clear()
    this.devices = []
    this.groups = []
    this.isLoaded = false
    this.#parameters = ''
  }

  stop(): void {
    this.#stream?.close()
    this.#stream = undefined
    clearTimeout(this.#reload)
    clearTimeout(this.#telling)
    this.#telling = undefined
  }

  state(id: string): DeviceStateName | 'unseen' {
    return (this.live(id)?.state as DeviceStateName | undefined) ?? 'unseen'
  }

  trend(id: string): Trend {
    return this.#before.get(id)?.trend
  }

  #remember(device: LiveDevice, name: string): void {
    const value = (device.values as Record<string, unknown>)[name]
    if (typeof value !== 'number' || !device.time) return
    const at = (device.times as Record<string, number> | undefined)?.[name] ?? Date.parse(device.time)
    const before = this.#before.get(device.device)
    // A clock that was ahead and is right again has nothing to be compared with.
    if (!before || at < before.at) this.#before.set(device.device, { at, value, trend: undefined })
    else if (at - before.at >= TREND_MS) {
      const change = value - before.value
      const trend = Math.abs(change) < 0.3 ? 'level' : change > 0 ? 'up' : 'down'
      this.#before.set(device.device, { at, value, trend })
    }
  }
}

export const fleet = new Fleet()

/** What people call a device. */
export function nameOf(device: Device): string {
  return device.name || device.plate || device.id
}
