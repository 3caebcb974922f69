// How fast a device goes: of now, also while it is in alarm, which its state says before all else.
import type { Said } from './reading'

/** As the server tells who moves: receivers that stand see some speed, and more where nobody drives. */
const MOVING_KPH = 4
const MOVING_OFF_KPH = 10
/** A speed that is older than the latest record by more is none of now. */
const TOGETHER_MS = 5 * 60_000

/** In km/h; nothing of a device that stands, is silent, or does not say. */
export function speedOf(said: (Said & { state: string }) | undefined): number | undefined {
  const speed = said?.values['position.speed']
  if (!said || typeof speed !== 'number' || (said.state !== 'moving' && said.state !== 'alarm')) return undefined
  if (said.state === 'moving') return speed
  const of = said.times?.['position.speed']
  const isOld = of !== undefined && Boolean(said.time) && Date.parse(said.time ?? '') - of > TOGETHER_MS
  return !isOld && speed >= (said.values['engine.ignition.status'] === false ? MOVING_OFF_KPH : MOVING_KPH) ? speed : undefined
}
