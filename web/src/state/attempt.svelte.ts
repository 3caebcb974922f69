// Work that may end in a problem, which is then shown where it was begun.
import { Problem } from '../api/client'

export class Attempt {
  isBusy = $state(false)
  problem = $state.raw<Problem | undefined>()

  /** Whether it was done. */
  async do(work: () => Promise<void>): Promise<boolean> {
    this.isBusy = true
    this.problem = undefined
    try {
      await work()
      return true
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      this.problem = error
      return false
    } finally {
      this.isBusy = false
    }
  }
}
