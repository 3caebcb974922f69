// Who is signed in.
import { api, enterTenant, whenSignedOut, type Schemas } from '../api/client'

class Session {
  /** `undefined`: not known yet; `null`: nobody. */
  current = $state<Schemas['Current'] | null | undefined>(undefined)
  /** Whether there was somebody before. */
  hasEnded = $state(false)

  constructor() {
    whenSignedOut(() => {
      if (this.current) this.hasEnded = true
      this.current = null
    })
  }

  async look(): Promise<void> {
    this.current = await api.get('/api/v1/sessions/current')
  }

  async signIn(login: string, password: string, code: string | undefined): Promise<void> {
    const body = code ? { login, password, code } : { login, password }
    this.current = await api.post('/api/v1/sessions', { body })
    this.hasEnded = false
  }

  async signOut(): Promise<void> {
    await api.delete('/api/v1/sessions/current')
    this.hasEnded = false
    this.current = null
  }

  async enter(tenant: string): Promise<void> {
    enterTenant(tenant)
    await this.look()
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
