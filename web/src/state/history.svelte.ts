// What a device sent in a period, in columns, and the one time cursor that map, charts, table and timeline share.
import { api, Problem, type Schemas } from '../api/client'
import { activity, heldAt, type Activity } from './activity'
import { gapOf, pausesOf } from './gap'
import { DAY, HOUR, MINUTE } from './time'

export type RecordOf = Readonly<Schemas['RecordsPage']['records'][number]>

/** More records than these are not shown at once: a shorter period shows the rest. */
export const RECORDS_MAX = 120_000
const PAGE = 10_000
/** A longer period is drawn with some of its records: those that show how each of so many steps of it was. */
const EXACT_MS_MAX = 8 * DAY
/** Of the longest period, too, the sixteen alarms that are left of a step lie near enough to each other to be one. */
const STEPS = 2000
const STEP_MS_MAX = DAY
/** Where that are too many still, steps are so many times as long. */
const COARSER = 3
/** Records of long ago come many at a time: all is read anew so often at most, and no more than a part of the time. */
const ANEW_MS_MIN = 20_000
const ANEW_SHARE = 20
/** Those that came between newer ones show in nothing that the live stream says: so often all is read anew in any case. */
const ANEW_MS_MAX = 10 * MINUTE
/** A long period costs all of its files each time, and shows little of what is new: it is read anew, and drawn with what came, more seldom. */
const ANEW_SHARE_LONG = 100
const ANEW_MS_MAX_LONG = HOUR
/** Records that come one by one are read together. */
const MORE_MS = 4000
const MORE_MS_LONG = MINUTE

/** What the live stream said last: of when the newest record is, and when one was received. */
export interface Heard {
  time: number
  received: number
}

/** All records of a part of the period, of which otherwise only some are here: up to `until`, behind which none was when they were read. */
interface Part {
  from: number
  to: number
  until: number
  records: RecordOf[]
}

export interface Track {
  /** Indices of records with a place. */
  at: number[]
  points: [number, number][]
}

export class History {
  from = $state(0)
  to = $state(0)
  records = $state.raw<RecordOf[]>([])
  /** The time of each record, in milliseconds. */
  times = $state.raw<number[]>([])
  isLoading = $state(false)
  isCut = $state(false)
  /** Of each step of so many milliseconds only the records that show how it was are here; 0: all of them. */
  step = $state(0)
  problem = $state.raw<Problem | undefined>()
  /** Where the cursor is. */
  cursor = $state(0)
  /** The part of the period that is looked at. */
  window = $state.raw<readonly [number, number]>([0, 0])
  #columns = new Map<string, (number | undefined)[]>()
  /** What was read of the whole period. */
  #all: RecordOf[] = []
  #part = $state.raw<Part | undefined>()
  /** Between these two moments are too many to be shown at once: whatever has both need not be asked for. */
  #crowd: readonly [number, number] | undefined
  /** Which part is being read. */
  #asked: { from: number; to: number; request: AbortController } | undefined
  /** The one that the period was asked with: what is asked later about the same period ends with it. */
  #request: AbortController | undefined
  #isReading = false
  #heard: Heard | undefined
  /** What was received up to then is here. */
  #upTo = 0
  #anewAt = 0
  #anewTook = 0

  constructor(private readonly device: string) {}

  /** How far apart two records are that do not belong together. A value that is in one record of each step may pause for nearly two. */
  gap = $derived(gapOf(this.times, 2 * this.step))
  /** The records as far as it is known when they were made: of one whose clock was wrong only that it came then, and its alarms. */
  drawn = $derived(this.records.map((record) => (record['device.time'] === undefined ? record : alarmsOf(record))))
  /** How many those are. */
  misplaced = $derived(this.records.filter((record) => record['device.time'] !== undefined).length)
  /** The same for each record: in a part of which all are here, it is as if there were no steps. */
  pauses = $derived.by(() => {
    const part = this.#part
    return pausesOf(this.drawn, this.times, this.gap, part && { from: part.from, to: part.to, gap: gapOf(timesOf(part.records)) })
  })
  activity = $derived<Activity>(activity(this.drawn, this.times, this.gap, this.from, this.to, this.isLoading || this.isCut, this.pauses))
  /** Whether records are missing in what is looked at, because they would not be seen. */
  isThinned = $derived(this.step > 0 && !covers(this.#part, this.window))
  /** What was so at the cursor. */
  held = $derived(heldAt(this.activity, this.cursor, this.times[this.index(this.cursor)], this.gap))
  track = $derived.by<Track>(() => {
    const track: Track = { at: [], points: [] }
    this.drawn.forEach((record, at) => {
      const [longitude, latitude] = [record['position.longitude'], record['position.latitude']]
      if (typeof longitude !== 'number' || typeof latitude !== 'number' || record['position.valid'] === false) return
      track.at.push(at)
      track.points.push([longitude, latitude])
    })
    return track
  })
  /** All names of parameters, the numbers first found first. */
  names = $derived.by(() => {
    const numbers = new Set<string>()
    const others = new Set<string>()
    for (const record of this.records) {
      for (const [name, value] of Object.entries(record)) {
        if (meta.has(name)) continue
        if (typeof value === 'number' || typeof value === 'boolean') numbers.add(name)
        else others.add(name)
      }
    }
    return { numbers: [...numbers].sort(), others: [...others].filter((name) => !numbers.has(name)).sort() }
  })

  /** Whether it was done: not if it failed, or if another period was asked for meanwhile. */
  async load(from: number, to: number): Promise<boolean> {
    this.stop()
    const request = new AbortController()
    this.#request = request
    ;[this.#part, this.#crowd, this.step] = [undefined, undefined, 0]
    const isOther = from !== this.from || to !== this.to
    ;[this.from, this.to] = [from, to]
    if (isOther) this.window = [from, to]
    this.isLoading = true
    this.problem = undefined
    try {
      await this.#readAll(request.signal, (so) => this.#take(so))
      return true
    } catch (error) {
      if (request.signal.aborted) return false
      if (!(error instanceof Problem)) throw error
      this.problem = error
      return false
    } finally {
      if (this.#request === request) this.isLoading = false
    }
  }

  async #readAll(signal: AbortSignal, each: (so: RecordOf[]) => void): Promise<RecordOf[]> {
    const heard = this.#heard?.received ?? 0
    const begun = performance.now()
    const span = this.to - this.from
    let step = (this.step = Math.max(this.step, span > EXACT_MS_MAX ? stepOf(span) : 0))
    let records = await this.#read(this.from, this.to, step, signal, each)
    // All of it with fewer of each step is more than its beginning. What came so far is shown meanwhile.
    while (records.length >= RECORDS_MAX && step < STEP_MS_MAX) {
      step = Math.min(STEP_MS_MAX, step ? step * COARSER : stepOf(span))
      records = await this.#read(this.from, this.to, step, signal, () => undefined)
      this.step = step
      each(records)
    }
    this.isCut = records.length >= RECORDS_MAX
    this.#upTo = Math.max(heard, receivedOf(records))
    ;[this.#anewAt, this.#anewTook] = [performance.now(), performance.now() - begun]
    return records
  }

  /** Hears what the live stream says, and says whether it may be about this period. */
  hears(now: Heard): boolean {
    const before = this.#heard
    this.#heard = now
    // What came in order behind this period is none of it.
    if (now.time >= this.to && (!before || (before.time >= this.to && now.time > before.time))) this.#upTo = Math.max(this.#upTo, now.received)
    return this.isBehind
  }

  /** Whether something was received that is not here, though it may be of this period. */
  get isBehind(): boolean {
    return !this.isCut && !this.problem && (this.#heard?.received ?? 0) > this.#upTo
  }

  /** So long what the live stream tells of may wait. */
  get pause(): number {
    return this.step ? MORE_MS_LONG : MORE_MS
  }

  /** Reads what came since. Where records of long ago came, too, all is read anew. Says in how many milliseconds there is more to do. */
  async more(): Promise<number | undefined> {
    const signal = this.#request?.signal
    if (!signal || signal.aborted) return undefined
    if (!this.isLoading && !this.#isReading && !this.isCut && !this.problem) {
      const rest = await this.#more(signal)
      if (signal.aborted || rest !== undefined) return rest
    }
    return this.isBehind ? 0 : undefined
  }

  async #more(signal: AbortSignal): Promise<number | undefined> {
    this.#isReading = true
    try {
      const last = this.times.at(-1)
      const records = await this.#read(last === undefined ? this.from : last + 1, this.to, 0, signal, () => undefined)
      this.#upTo = Math.max(this.#upTo, receivedOf(records))
      if (records.length > 0) this.#take([...this.#all, ...records])
      const least = this.isBehind ? ANEW_MS_MIN : this.step ? ANEW_MS_MAX_LONG : ANEW_MS_MAX
      const pause = Math.max(least, this.#anewTook * (this.step ? ANEW_SHARE_LONG : ANEW_SHARE))
      const rest = this.#anewAt + pause - performance.now()
      if (rest > 0) return this.isBehind ? rest : undefined
      const all = await this.#readAll(signal, () => undefined)
      // Of a step, others may be as many.
      if (!this.step && all.length === this.#all.length) return undefined
      const before = this.#part
      const part = before && covers(before, this.window) ? await this.#readPart(before, signal) : undefined
      if (this.#part === before) this.#part = part
      this.#take(all)
    } catch (error) {
      // What is shown stays; the next batch tries again.
      if (!signal.aborted && !(error instanceof Problem)) throw error
    } finally {
      this.#isReading = false
    }
    return undefined
  }

  /** Reads all records of the part that is looked at, where only some of them are here and it is short enough. */
  async refine(): Promise<void> {
    const [from, to] = this.window
    const isTooMuch = to - from > EXACT_MS_MAX || (this.#crowd !== undefined && covers({ from, to }, this.#crowd))
    const isWanted = this.isThinned && !this.isLoading && !isTooMuch
    // Of what is being read already, people look at less and less.
    if (isWanted && covers(this.#asked, this.window)) return
    this.#asked?.request.abort()
    this.#asked = undefined
    if (!isWanted) return
    const asked = { from: Math.floor(from), to: Math.ceil(to), request: new AbortController() }
    this.#asked = asked
    try {
      const part = await this.#readPart(asked, asked.request.signal)
      if (!part || this.#asked !== asked) return
      this.#part = part
      this.#take(this.#all)
    } catch (error) {
      // What is shown stays, and is said to be thinned.
      if (!asked.request.signal.aborted && !(error instanceof Problem)) throw error
    } finally {
      if (this.#asked === asked) this.#asked = undefined
    }
  }

  /** Nothing, where these are too many, too. */
  async #readPart({ from, to }: { from: number; to: number }, signal: AbortSignal): Promise<Part | undefined> {
    const until = Math.max(from - 1, Math.min(to, this.times.at(-1) ?? from))
    const records = await this.#read(from, until + 1, 0, signal, () => undefined)
    return records.length < RECORDS_MAX ? { from, to, until, records } : undefined
  }

  async #read(from: number, to: number, step: number, signal: AbortSignal, each: (so: RecordOf[]) => void): Promise<RecordOf[]> {
    const records: RecordOf[] = []
    let cursor: string | undefined
    do {
      const page = await api.get('/api/v1/devices/{id}/records', {
        path: { id: this.device },
        query: { from: String(from), to: String(to), thin: step ? step / 1000 : undefined, limit: PAGE, cursor, sensors: true },
        signal
      })
      // It may have been here already when another period was asked for.
      signal.throwIfAborted()
      records.push(...page.records)
      cursor = page.next ?? undefined
      each([...records])
    } while (cursor && records.length < RECORDS_MAX)
    if (!step && records.length >= RECORDS_MAX) this.#crowd = [timeOf(records[0]), timeOf(records.at(-1))]
    return records
  }

  #take(all: RecordOf[]): void {
    this.#all = all
    const part = this.#part
    let [records, times] = [all, timesOf(all)]
    if (part) {
      const [first, last] = [countUpTo(times, part.from - 1), countUpTo(times, part.until)]
      records = [...all.slice(0, first), ...part.records, ...all.slice(last)]
      times = [...times.slice(0, first), ...timesOf(part.records), ...times.slice(last)]
    }
    this.#columns = new Map()
    this.times = times
    this.records = records
  }

  /** A parameter's values, one for each record that has it. */
  column(name: string): (number | undefined)[] {
    const records = this.drawn
    let column = this.#columns.get(name)
    if (!column) {
      column = records.map((record) => {
        const value = record[name]
        return typeof value === 'number' ? value : typeof value === 'boolean' ? Number(value) : undefined
      })
      this.#columns.set(name, column)
    }
    return column
  }

  /** The index of the last record not behind a moment; -1 before the first. */
  index(time: number): number {
    return countUpTo(this.times, time) - 1
  }

  zoom(from: number, to: number): void {
    this.window = to - from < SPAN_MS_MIN ? [this.from, this.to] : [Math.max(from, this.from), Math.min(to, this.to)]
  }

  /** Looks nearer (below 1) or less near; the cursor stays where it is on the screen. */
  zoomBy(factor: number): void {
    const [from, to] = this.window
    if ((to - from) * factor < SPAN_MS_MIN) return
    const at = Math.max(from, Math.min(to, this.cursor))
    this.zoom(at - (at - from) * factor, at + (to - at) * factor)
  }

  get isZoomed(): boolean {
    return this.window[0] !== this.from || this.window[1] !== this.to
  }

  stop(): void {
    this.#request?.abort()
    this.#asked?.request.abort()
    this.#asked = undefined
  }
}

/** Whole seconds: so the server has them. */
const stepOf = (span: number): number => Math.ceil(span / STEPS / 1000) * 1000

function covers(part: { from: number; to: number } | undefined, [from, to]: readonly [number, number]): boolean {
  return part !== undefined && part.from <= from && part.to >= to
}

const timeOf = (record: RecordOf | undefined): number => Date.parse(String(record?.time))
const timesOf = (records: readonly RecordOf[]): number[] => records.map(timeOf)

/** How many of these, which are in order, are not behind a moment. */
function countUpTo(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] ?? 0) <= time) low = middle + 1
    else high = middle
  }
  return low
}

const receivedOf = (records: readonly RecordOf[]): number => records.reduce((latest, { received }) => Math.max(latest, Date.parse(String(received)) || 0), 0)

/** What every record has, besides its parameters. */
const meta = new Set(['device', 'protocol', 'time', 'received', 'id'])
const SPAN_MS_MIN = 10_000

const alarmsOf = (record: RecordOf): RecordOf =>
  Object.fromEntries(Object.entries(record).filter(([name]) => meta.has(name) || name === 'alarm' || name === 'reefer.alarm.codes'))
