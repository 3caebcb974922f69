// The ports that a tracker is told: those that are open to it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMMON, portsOf } from '../../src/state/ports'

type List = Parameters<typeof portsOf>[0]

const socket = (address: string, state = 'open') => ({ transport: 'tcp', address, state })
const made = (protocol: string, sockets: unknown[], more = {}) => ({ protocol, tenant: 'default', device: null, sockets, ...more })
const other = (protocol: string, address: string, tenant: string | null = 'default') => ({ protocol, address, tenant, transport: 'tcp', by: 'the configuration' })
const ports = (listeners: unknown[], others: unknown[] = []) => Object.fromEntries(portsOf({ listeners, others } as unknown as List, 'north'))

test('ports are those of sockets that are open, each once', () => {
  const udp = { ...socket('[::]:5027'), transport: 'udp' }
  assert.deepEqual(ports([made('teltonika', [socket('[::]:5027'), udp]), made('gt06', [socket('0.0.0.0:5023', 'failed')])]), { teltonika: [5027] })
  assert.deepEqual(ports([made('gt06', [socket('0.0.0.0:6023')])], [other('gt06', '[::]:5023'), other(COMMON, '[::]:5000')]), { gt06: [6023, 5023], [COMMON]: [5000] })
})

test('ports of other tenants, of one device alone and of the interface are for nobody who is new', () => {
  assert.deepEqual(ports([made('gt06', [socket('[::]:1')], { device: '35' }), made('gt06', [socket('[::]:2')], { tenant: 'south' })]), {})
  assert.deepEqual(ports([made('gt06', [socket('[::]:3')], { tenant: 'north' })], [other('http', '[::]:8080', null), other('wialon', '[::]:4', 'south')]), { gt06: [3] })
})
