// The list of a fleet that is too large to be held: devices come page by page as one scrolls, found by the server; what they do now is
// streamed of those in sight alone.
import { api, Problem, type Schemas } from '../api/client'
import { LiveStream, type Batch, type Counts, type Watched } from '../api/live'
import type { Device } from './fleet.svelte'

export interface Wanted {
  text: string
  /** Live states, separated by commas. */
  live: string
  /** The group's id, `-` for none; nothing for all. */
  group: string | undefined
  /** The box of the map, where the list is of what is on it. */
  box: readonly [number, number, number, number] | undefined
}

/** Rows that come at a time: more than two screens of them. */
const PAGE = 100
/** With a filter by what is live a page may be empty: so many are asked for before people are to scroll on. */
const EMPTY_PAGES_MAX = 10
/** Devices on the map that are listed. With more there is nothing to be read, and the map says how many there are. */
export const ON_MAP_MAX = 300
/** What is known of devices by their ids is asked for so many at a time. */
const AT_A_TIME = 6
const TYPED_MS = 250
const SCROLLED_MS = 150
const COUNTS_MS = 5000
/** Rows that are asked for at a time where they are listed anew: more than these the server does not tell at once. */
const ANEW_MAX = 1000
/** Looking for a state takes the server some time: it is done again after so long, or after so many times as long as it took. */
const ANEW_MS = 15_000
const ANEW_TIMES = 20

export class PagedFleet {
  rows = $state.raw<Device[]>([])
  counts = $state.raw<Counts | undefined>()
  /** How many there are of these, where that is known. */
  count = $state<number | undefined>()
  /** How many are on the map, where they are too many to be listed. */
  tooMany = $state<number | undefined>()
  isLoading = $state(false)
  /** The box that all of them are in. */
  extent = $state.raw<[number, number, number, number] | undefined>()
  problem = $state.raw<Problem | undefined>()
  /** How many more are in the states that are wanted than there were when these rows were listed. */
  fresh = $state(0)
  #next: string | undefined
  #wanted: Wanted = { text: '', live: '', group: undefined, box: undefined }
  #asked: AbortController | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #watching: ReturnType<typeof setTimeout> | undefined
  #counting: ReturnType<typeof setInterval> | undefined
  #stream: LiveStream | undefined
  #streamed = ''
  #known = new Map<string, Device>()
  /** What was asked for these rows, how many were counted then, and whether one of them is in another state now. */
  #of = ''
  #listed: number | undefined
  #hasLeft = false
  #isHeld = false
  #restUntil = -Infinity

  constructor(
    /** What was live of others is forgotten with a full batch. */
    private readonly told: (batch: Batch) => void,
    private readonly connected: (is: boolean, why?: Problem) => void,
    private readonly parameters: () => string
  ) {}

  async #measure(group: string | undefined): Promise<void> {
    const groups = group === '-' ? undefined : group
    try {
      const { clusters, devices } = await api.get('/api/v1/live/view', { query: { box: '-180,-90,180,90', zoom: 1, parameters: 'position.speed', groups } })
      const boxes = [...clusters.map(({ bounds }) => bounds), ...devices.flatMap(({ place }) => (place ? [[...place, ...place]] : []))]
      const edge = (at: number, of: (...all: number[]) => number) => of(...boxes.map((box) => box[at] ?? 0))
      if (boxes.length) this.extent = [edge(0, Math.min), edge(1, Math.min), edge(2, Math.max), edge(3, Math.max)]
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      // The map begins where it begins without.
    }
  }

  /** Asks for others. What is there stays until they come. */
  want(wanted: Wanted): void {
    if (this.extent === undefined || wanted.group !== this.#wanted.group) void this.#measure(wanted.group)
    this.#wanted = wanted
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#begin(), this.rows.length > 0 ? TYPED_MS : 0)
    clearInterval(this.#counting)
    this.#counting = setInterval(() => !document.hidden && void this.#count().then(() => this.#renew()), COUNTS_MS)
    void this.#count()
  }

  /** Whether somebody is at the rows: then they stay until nobody is. */
  hold(is: boolean): void {
    this.#isHeld = is
    if (!is) this.#renew()
  }

  stop(): void {
    this.#isHeld = false
    clearTimeout(this.#timer)
    clearTimeout(this.#watching)
    clearInterval(this.#counting)
    this.#asked?.abort()
    this.#stream?.close()
    this.#stream = undefined
    this.#streamed = ''
  }

  async #begin(): Promise<void> {
    this.#asked?.abort()
    clearTimeout(this.#watching)
    const asked = (this.#asked = new AbortController())
    this.tooMany = undefined
    const begun = performance.now()
    await this.#attempt(asked, this.#wanted.box ? () => this.#onMap(asked) : async () => {
      const { text, live, group } = this.#wanted
      const of = JSON.stringify([text, live, group])
      // Before they are listed: who comes in between is listed and new, and never neither.
      if (live) await this.#count()
      const listed = this.#ofStates()
      // Of the same, as many as there were: whoever comes back, or is far down, stays there.
      const first = await this.#page(undefined, asked.signal, of === this.#of ? this.rows.length : 0)
      this.#streamed = ''
      ;[this.rows, this.#next] = [first.devices, first.next]
      this.count = first.count
      ;[this.#of, this.#listed, this.#hasLeft, this.fresh] = [of, listed, false, 0]
    })
    const now = performance.now()
    this.#restUntil = now + Math.max(ANEW_MS, (now - begun) * ANEW_TIMES)
  }

  /** How many are in the states that are wanted, as far as somebody counts them. */
  #ofStates(): number | undefined {
    const { counts } = this
    return counts && counted(counts, this.#wanted.live)
  }

  /** Lists anew where others are in the states that are wanted than were. */
  #renew(): void {
    const { text, live, box } = this.#wanted
    const now = this.#ofStates()
    if (!live || box || now === undefined || this.isLoading) return
    this.#listed ??= now
    // With a text there are fewer, and nobody counts these.
    this.fresh = text ? 0 : Math.max(0, now - this.#listed)
    const isOther = now !== this.#listed || this.#hasLeft
    if (isOther && !this.#isHeld && performance.now() >= this.#restUntil) void this.#begin()
  }

  /** Notices what is in another state than it was listed for. */
  #notice({ devices }: Batch): void {
    const { live } = this.#wanted
    if (live) this.#hasLeft ||= devices.some(({ received, state }) => received && !live.split(',').includes(state))
  }

  /** The next rows, where these are scrolled through. */
  async more(): Promise<void> {
    if (this.isLoading || this.#next === undefined || this.#wanted.box) return
    const asked = (this.#asked = new AbortController())
    await this.#attempt(asked, async () => {
      const { devices, next } = await this.#page(this.#next, asked.signal)
      ;[this.rows, this.#next] = [[...this.rows, ...devices], next]
    })
  }

  async #attempt(asked: AbortController, work: () => Promise<void>): Promise<void> {
    this.isLoading = true
    this.problem = undefined
    try {
      await work()
    } catch (error) {
      if (asked.signal.aborted) return
      if (!(error instanceof Problem)) throw error
      this.problem = error
    } finally {
      if (this.#asked === asked) this.isLoading = false
    }
  }

  retry(): void {
    void this.#begin()
  }

  async #page(cursor: string | undefined, signal: AbortSignal, least = 0): Promise<{ devices: Device[]; next: string | undefined; count: number | undefined }> {
    const { text, live, group } = this.#wanted
    const query = { text: text || undefined, live: live || undefined, order: 'name' as const, limit: Math.min(Math.max(PAGE, least), ANEW_MAX) }
    const devices: Device[] = []
    let [next, count]: [string | undefined, number | undefined] = [cursor, undefined]
    // The server may give fewer than it is asked for, or none, and have more.
    for (let tries = 0; tries < EMPTY_PAGES_MAX && devices.length < Math.max(1, least); tries += 1) {
      const isCounted = !live && next === undefined
      // An empty text is a group, too: that of those in none, which an address of ours would leave out.
      const page = await (group === '-'
        ? api.get('/api/v1/devices?group=' as '/api/v1/devices', { query: { ...query, cursor: next, count: isCounted || undefined }, signal })
        : api.get('/api/v1/devices', { query: { ...query, group, cursor: next, count: isCounted || undefined }, signal }))
      devices.push(...page.devices)
      if (page.count != null) count = page.count
      next = page.next ?? undefined
      if (next === undefined) break
    }
    for (const device of devices) this.#known.set(device.id, device)
    return { devices, next, count }
  }

  async #count(): Promise<void> {
    const { group } = this.#wanted
    // Of those in no group nobody counts what they do.
    if (group === '-') return void (this.counts = undefined)
    try {
      this.counts = await api.get('/api/v1/live/counts', { query: { groups: group } })
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      // The numbers stay; they are asked for again.
    }
  }

  /** Watches those in sight. */
  watch(ids: readonly string[]): void {
    if (this.#wanted.box) return
    const wanted = [...ids].sort().join(',')
    clearTimeout(this.#watching)
    if (wanted === this.#streamed || wanted === '') return
    this.#watching = setTimeout(() => {
      this.#streamed = wanted
      this.#listen({ devices: wanted }, (batch) => this.#notice(batch))
    }, this.#stream ? SCROLLED_MS : 0)
  }

  /** Another parameter is wanted of the same. */
  again(): void {
    const wanted = this.#streamed
    this.#streamed = ''
    if (this.#wanted.box) void this.#begin()
    else if (wanted) this.watch(wanted.split(','))
  }

  #listen(of: Watched, heard?: (batch: Batch) => void): void {
    this.#stream?.close()
    this.#stream = new LiveStream({ ...of, parameters: this.parameters() }, {
      batch: (batch) => {
        this.told(batch)
        heard?.(batch)
      },
      connected: this.connected
    })
  }

  /** Lists what is on the map, as it drives in and out of it. */
  async #onMap(asked: AbortController): Promise<void> {
    const { box, group, live } = this.#wanted
    if (!box) return
    const groups = group === '-' ? undefined : group
    const all = counted(await api.get('/api/v1/live/counts', { query: { box: box.join(','), groups }, signal: asked.signal }), live)
    this.#next = undefined
    this.#streamed = ''
    if (all > ON_MAP_MAX) {
      this.#stream?.close()
      ;[this.rows, this.count, this.tooMany] = [[], undefined, all]
      return
    }
    const here = new Map<string, string>()
    // By their states the server finds them as on a map, where it tells of each until there are too many; at no zoom these are a few clusters.
    const of = live ? { box, zoom: 0, live } : { box }
    this.#listen(groups === undefined ? of : { ...of, groups }, (batch) => {
      if (asked.signal.aborted) return
      if (batch.crowds) this.tooMany = batch.crowds.clusters.length > 0 ? counted(batch.crowds.counts, live) : undefined
      if (batch.full) here.clear()
      for (const id of batch.left ?? []) here.delete(id)
      for (const { device, state } of batch.devices) here.set(device, state)
      void this.#show(here, asked)
    })
  }

  async #show(here: ReadonlyMap<string, string>, asked: AbortController): Promise<void> {
    const lost = [...here.keys()].filter((id) => !this.#known.has(id))
    for (let at = 0; at < lost.length && !asked.signal.aborted; at += AT_A_TIME) {
      const found = await Promise.all(lost.slice(at, at + AT_A_TIME).map((id) => api.get('/api/v1/devices/{id}', { path: { id }, signal: asked.signal }).catch(() => undefined)))
      for (const device of found) if (device) this.#known.set(device.id, device)
    }
    if (asked.signal.aborted) return
    if (this.tooMany !== undefined) {
      ;[this.rows, this.count] = [[], undefined]
      return
    }
    const { text, live, group } = this.#wanted
    const wanted = text.trim().toLowerCase()
    const states = live ? live.split(',') : undefined
    const those = [...here].flatMap(([id, state]) => {
      const device = this.#known.get(id)
      return device && (!states || states.includes(state)) && (group !== '-' || !device.group) && hasText(device, wanted) ? [device] : []
    })
    this.rows = those.sort((a, b) => naming.compare(a.name || a.plate || a.id, b.name || b.plate || b.id))
    this.count = those.length
  }

  /** What is known of a device that was listed before. */
  known(id: string): Device | undefined {
    return this.#known.get(id)
  }

  /** Whether there are others behind these rows. */
  get hasMore(): boolean {
    void this.rows
    return this.#next !== undefined
  }
}

/** How many are in these states, separated by commas, or in any. */
const counted = (counts: Counts, live: string): number =>
  (['moving', 'stopped', 'no_signal', 'alarm'] as const).reduce((sum, state) => sum + (live === '' || live.split(',').includes(state) ? counts[state] : 0), 0)

const naming = new Intl.Collator(undefined, { numeric: true })

/** Whether people mean a device by this text, in small letters. */
export function hasText(device: Device, wanted: string): boolean {
  return wanted === '' || [device.name, device.plate, ...device.ids, ...device.tags].some((name) => name.toLowerCase().includes(wanted))
}

/** Devices that the server finds by a text. */
export async function searched(text: string, limit: number, signal: AbortSignal): Promise<Schemas['Device'][]> {
  const { devices } = await api.get('/api/v1/devices', { query: { text, order: 'name', limit }, signal })
  return devices
}
