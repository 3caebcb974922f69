// Who is signed in.
import { chosen, showFile } from '../map/chosen.svelte'
import { api, enterTenant, whenSignedOut, type Schemas } from '../api/client'
import { addresses, forgetAddresses } from './address.svelte'
import { fleet } from './fleet.svelte'

class Session {
  /** `undefined`: not known yet; `null`: nobody. */
  current = $state<Schemas['Current'] | null | undefined>(undefined)
  /** Whether there was somebody before. */
  hasEnded = $state(false)

  constructor() {
    whenSignedOut(() => {
      if (this.current) this.hasEnded = true
      this.#leave()
    })
  }

  async look(): Promise<void> {
    this.#is(await api.get('/api/v1/sessions/current'))
  }

  async signIn(login: string, password: string, code: string | undefined): Promise<void> {
    const body = code ? { login, password, code } : { login, password }
    this.#is(await api.post('/api/v1/sessions', { body }))
    this.hasEnded = false
  }

  #is(somebody: Schemas['Current']): void {
    this.current = somebody
    addresses.areThere = somebody.addresses
  }

  async signOut(): Promise<void> {
    await api.delete('/api/v1/sessions/current')
    this.hasEnded = false
    this.#leave()
  }

  /** Whoever comes next, without loading the page anew, sees nothing of what was seen before. */
  #leave(): void {
    this.current = null
    enterTenant(undefined)
    forgetAddresses()
    if (chosen.file) showFile(undefined)
    fleet.forget()
  }

  async enter(tenant: string): Promise<void> {
    const before = enterTenant(tenant)
    try {
      await this.look()
    } catch (error) {
      // Nobody is signed in any more, or one is still where one was.
      if (this.current) enterTenant(before)
      throw error
    }
    const { areThere } = addresses
    forgetAddresses()
    addresses.areThere = areThere
    fleet.forget()
  }

  get mayManage(): boolean {
    return this.current?.role === 'manager' || this.current?.role === 'owner'
  }

  get isOwner(): boolean {
    return this.current?.role === 'owner'
  }

  get seesAll(): boolean {
    return this.current?.groups == null
  }
}

export const session = new Session()
