// The fleet: what people say of devices (the catalog) and what they do now (the live stream), as one list.
import { api, Problem, type Schemas } from '../api/client'
import { FIRST_DEVICES } from '../api/early'
import { LiveStream, type Batch, type DeviceStateName, type LiveDevice } from '../api/live'
import { forgetLeft } from './left'
import { PagedFleet } from './paged.svelte'
import { parametersOf } from './reading'
import { Told } from './told'
import { Trends, type Trend } from './trend'

export type Device = Schemas['Device']

/**
 * Up to so many devices are all held, with what each does now: then search, counts and names on the map answer at once. Of a larger
 * fleet the list asks for what is in sight: all of it would be many megabytes before the first row, and all that changes, for ever.
 */
export const HELD_MAX = 5000
const PAGE = 1000
/** With more devices than these, what depends on all of them is worked out once in a while only. */
const LARGE = 1000
const LARGE_PAUSE_MS = 1000

/** Parameters that lists and markers show. */
export const LIST_PARAMETERS = [
  'position.speed', 'position.direction', 'alarm', 'engine.ignition.status', 'door.status', 'reefer.alarm.severity'
]

class Fleet {
  devices = $state.raw<Device[]>([])
  groups = $state.raw<Schemas['Group'][]>([])
  /** Whether all of them are here. The first are before. */
  isLoaded = $state(false)
  isConnected = $state(true)
  /** Why it is not, where the server says so. */
  whyNot = $state.raw<Problem | undefined>()
  /** Whether there are too many devices to hold them: `paged` lists them then. */
  isLarge = $state(false)
  problem = $state<Problem | undefined>()
  readonly #live = new Told()
  // One signal for all: with one for each device, what counts ten thousand of them has as many to ask whenever one changes.
  #told = $state(0)
  #toldAt = -Infinity
  #telling: ReturnType<typeof setTimeout> | undefined
  /** The devices of the list from which one was opened, in its order: what comes before and after it. */
  order: string[] = []
  #stream: LiveStream | undefined
  #parameters = ''
  readonly #trends = new Trends()
  #reload: ReturnType<typeof setTimeout> | undefined

  /** The list of a large fleet. */
  readonly paged = new PagedFleet((batch) => this.#take(batch), (is, why) => this.#connected(is, why), () => this.#parameters)

  /** Begins, or begins anew with another value in the list. */
  watch(value: string): void {
    this.#trends.watch(value)
    const parameters = [...new Set([...LIST_PARAMETERS, ...parametersOf(value)])].join(',')
    if ((this.#stream || this.isLarge) && this.#parameters === parameters) return
    this.#stream?.close()
    this.#stream = undefined
    const isOther = this.#parameters !== ''
    this.#parameters = parameters
    if (!this.isLoaded) void this.load()
    if (this.isLarge) {
      if (isOther) this.paged.again()
    } else this.#stream = new LiveStream({ parameters }, { batch: (batch) => this.#take(batch), connected: (is, why) => this.#connected(is, why) })
  }

  #connected(is: boolean, why?: Problem): void {
    this.isConnected = is
    this.whyNot = why
  }

  #take(batch: Batch): void {
    const heard = batch.devices.filter(({ received }) => received)
    const isNew = heard.some(({ device }) => !this.#known.has(device) && (batch.full || !this.#live.devices.has(device)))
    const wasWhole = this.#live.isWhole
    this.#live.take(batch)
    for (const device of heard) this.#trends.hear(device.device, device)
    // Whoever waits for the last of them waits no longer.
    if (!wasWhole && this.#live.isWhole) this.#toldAt = -Infinity
    this.#tell()
    // A device that registered itself has an entry in the catalog a moment later.
    if (isNew && this.isLoaded && !this.isLarge) this.#later()
  }

  /** Sees who has fallen silent. */
  fade(): void {
    if (this.#live.fade()) this.#tell()
  }

  /** What a device does now, as far as it has said so. */
  live(id: string): LiveDevice | undefined {
    void this.#told
    return this.#live.devices.get(id)
  }

  /** Where those are that have said so. */
  get places(): (readonly number[])[] {
    void this.#told
    return [...this.#live.devices.values()].flatMap(({ place }) => (place ? [place] : []))
  }

  /** Whether all of them were told. */
  get isToldWhole(): boolean {
    void this.#told
    return this.#live.isWhole
  }

  /** How many devices have said so. */
  get liveCount(): number {
    void this.#told
    return this.#live.devices.size
  }

  #tell(): void {
    const pause = this.#live.devices.size <= LARGE ? 0 : this.#toldAt + LARGE_PAUSE_MS - performance.now()
    if (this.#telling !== undefined && pause > 0) return
    if (pause <= 0) {
      clearTimeout(this.#telling)
      this.#telling = undefined
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
      const page = (cursor: string) => api.get('/api/v1/devices', { query: { order: 'name', limit: PAGE, cursor } })
      const begun = api.get('/api/v1/devices', { query: FIRST_DEVICES })
      const [groups, first] = await Promise.all([api.get('/api/v1/groups'), begun])
      if (era !== this.#era) return
      this.groups = groups
      this.isLarge = (first.count ?? 0) > HELD_MAX
      if (this.isLarge) {
        // What began before anybody knew is not gone on with.
        this.#stream?.close()
        this.#stream = undefined
      }
      const devices = this.isLarge ? [] : [...first.devices]
      if (!this.isLoaded && !this.isLarge) this.devices = first.devices
      let cursor = this.isLarge ? undefined : (first.next ?? undefined)
      while (cursor) {
        const more = await page(cursor)
        devices.push(...more.devices)
        cursor = more.next ?? undefined
      }
      if (era !== this.#era) return
      this.#known = new Set(devices.map(({ id }) => id))
      this.devices = devices
      this.problem = undefined
      this.isLoaded = true
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      if (era === this.#era) this.problem = error
    }
  }

  /** Devices as the list has them. */
  get listed(): Device[] {
    return this.isLarge ? this.paged.rows : this.devices
  }

  #later(): void {
    clearTimeout(this.#reload)
    this.#reload = setTimeout(() => void this.load(), 1000)
  }

  /** Forgets all of it: another tenant's is asked for, or somebody else's. */
  forget(): void {
    this.stop()
    forgetLeft()
    this.#era += 1
    this.#known.clear()
    this.problem = undefined
    this.isConnected = true
    this.whyNot = undefined
    this.#live.clear()
    this.#told += 1
    this.#trends.forget()
    this.devices = []
    this.order = []
    this.groups = []
    this.isLoaded = this.isLarge = false
    this.paged.rows = []
    this.#parameters = ''
  }

  stop(): void {
    this.#stream?.close()
    this.#stream = undefined
    this.paged.stop()
    clearTimeout(this.#reload)
    clearTimeout(this.#telling)
    this.#telling = undefined
  }

  state(id: string): DeviceStateName | 'unseen' {
    return this.live(id)?.state ?? 'unseen'
  }

  trend(id: string): Trend {
    void this.#told
    return this.#trends.of(id)
  }
}

export const fleet = new Fleet()

/** What people call a device. */
export function nameOf(device: Device): string {
  return device.name || device.plate || device.id
}
