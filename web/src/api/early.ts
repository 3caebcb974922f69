// What the first view needs is asked for while the larger scripts are still on their way, or being read. It is a script of its own,
// which comes before them, and imports nothing.

const SESSION = '/api/v1/sessions/current'
const GROUPS = '/api/v1/groups'
const DEVICES = '/api/v1/devices'

/** The devices that come first: more than two screens of them, so that whoever looks need not wait for the rest. */
export const FIRST_DEVICES = { order: 'name', limit: 100, count: true } as const
/** An answer that nobody has asked for by then, counted from the page's beginning, is of too long ago. */
const EARLY_MS_MAX = 10_000

export class Early {
  readonly #answers = new Map<string, Promise<Response | undefined>>()

  /** Asks for what the page of a path begins with. */
  constructor(path: string) {
    // Whoever has a link to a share need not be signed in.
    if (/^\/share(\/|$)/.test(path)) return
    const current = this.#begin(SESSION, fetch(SESSION))
    if (path !== '/') return
    // Only for somebody who is signed in: others would be told three times that they are not.
    const isSignedIn = current.then((answer) => answer?.ok, () => false)
    const query = Object.entries(FIRST_DEVICES).map(([name, value]) => [name, String(value)])
    for (const address of [GROUPS, `${DEVICES}?${new URLSearchParams(query).toString()}`]) {
      void this.#begin(address, isSignedIn.then((is) => (is ? fetch(address) : undefined)))
    }
  }

  #begin(address: string, answer: Promise<Response | undefined>): Promise<Response | undefined> {
    // Whoever takes it hears of what is wrong with it.
    answer.catch(() => undefined)
    this.#answers.set(address, answer)
    return answer
  }

  /** The answer of an address, once. `undefined`: it was not asked for, or would have been only for somebody signed in. */
  take(address: string): Promise<Response | undefined> | undefined {
    const answer = this.#answers.get(address)
    this.#answers.delete(address)
    return performance.now() < EARLY_MS_MAX ? answer : undefined
  }

  /** Forgets what was asked for: it was for whoever was there then. */
  forget(): void {
    this.#answers.clear()
  }
}

export const early = new Early(location.pathname)
