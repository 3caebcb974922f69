// Addresses of places that somebody looks at, where the server knows whom to ask. Until one is there, and where there is none, it is
// the name of the nearest town that pages show.
import { api, Problem, type Schemas } from '../api/client'

type Point = readonly number[]
type Address = Schemas['Address']

/** Whether there are any, and whose data they are, once one was seen. */
export const addresses = $state({ areThere: false, credit: '' })

/** Who only passes by asks nothing. */
export const REST_MS = 400
/** After a failure nobody is asked for so long: the server leaves the geocoder alone meanwhile, too. */
export const PAUSE_MS = 30_000
/** Whoever goes on looking at a place without an answer has it asked for again, once in so long, however many places there are. */
export const AGAIN_MS = 60_000
/** So many are known at most: the oldest goes. */
const KNOWN_MAX = 500
const known = new Map<string, Address>()
let silentUntil = 0
let againAt = 0

/** To about ten metres, as the server asks. */
const keyOf = ([longitude = NaN, latitude = NaN]: Point) => `${latitude.toFixed(4)},${longitude.toFixed(4)}`

/** What one looks at: one place after the other. */
export class Looked {
  #key = ''
  #found = $state.raw<{ key: string; address: Address } | undefined>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #request: AbortController | undefined

  /** One looks at this place now, or at none. */
  look(point: Point | null | undefined): void {
    const key = point && addresses.areThere ? keyOf(point) : ''
    if (key === this.#key) return
    this.#leave()
    this.#key = key
    if (!point || !key) return
    const address = known.get(key)
    if (address) this.#found = { key, address }
    else this.#timer = setTimeout(() => void this.#ask(point, key), REST_MS)
  }

  /** The address of a place, if it is the one that one looks at and has one. */
  of(point: Point | null | undefined): Address | undefined {
    const found = this.#found
    return point && found?.address.text && found.key === keyOf(point) ? found.address : undefined
  }

  stop(): void {
    this.#leave()
    this.#key = ''
  }

  #leave(): void {
    clearTimeout(this.#timer)
    this.#request?.abort()
    this.#request = undefined
  }

  async #ask(point: Point, key: string): Promise<void> {
    if (Date.now() < silentUntil) return this.#later(point, key)
    const [longitude = 0, latitude = 0] = point
    const request = (this.#request = new AbortController())
    try {
      const address = await api.get('/api/v1/address', { query: { latitude, longitude }, signal: request.signal })
      known.set(key, address)
      const [oldest] = known.keys()
      if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest)
      if (address.text) addresses.credit = address.source
      if (this.#key === key) this.#found = { key, address }
    } catch (error) {
      if (request.signal.aborted) return
      if (!(error instanceof Problem)) throw error
      silentUntil = Date.now() + PAUSE_MS
      // A server that knows nobody to ask is not asked again.
      if (error.status !== 404) this.#later(point, key)
    }
  }

  #later(point: Point, key: string): void {
    this.#timer = setTimeout(() => this.#again(point, key), AGAIN_MS)
  }

  #again(point: Point, key: string): void {
    // Somebody else may have got it meanwhile.
    const address = known.get(key)
    if (address) this.#found = { key, address }
    // Of a tab that nobody sees nothing is asked.
    else if (document.hidden || Date.now() < againAt) this.#later(point, key)
    else {
      againAt = Date.now() + AGAIN_MS
      void this.#ask(point, key)
    }
  }
}

/** Whoever comes next sees nothing of what was seen before. */
export function forgetAddresses(): void {
  known.clear()
  silentUntil = 0
  againAt = 0
  Object.assign(addresses, { areThere: false, credit: '' })
}
