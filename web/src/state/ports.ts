// The ports at which devices arrive, of servers that say which are open.
import type { Schemas } from '../api/client'

/** As what the port is listened to that understands all protocols. */
export const COMMON = 'auto'

/** By protocol, the ports that are open to the devices of a tenant. */
export function portsOf({ listeners, others }: Pick<Schemas['ListenerList'], 'listeners' | 'others'>, tenant: string): Map<string, number[]> {
  // One that is for a single device alone is for no tracker that is new.
  const made = listeners.filter(({ device }) => !device).flatMap(({ protocol, tenant, sockets }) =>
    sockets.filter(({ state }) => state === 'open').map(({ address }) => ({ protocol, tenant, address })))
  const ports = new Map<string, number[]>()
  for (const one of [...made, ...others]) {
    // Those of the tenant that is there from the beginning are for the devices of all.
    if (!one.protocol || (one.tenant !== 'default' && one.tenant !== tenant)) continue
    const port = Number(one.address.split(':').at(-1))
    const those = ports.get(one.protocol) ?? []
    if (port && !those.includes(port)) ports.set(one.protocol, [...those, port])
  }
  return ports
}
